import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Counts records per raw key and five-minute window of the event time with Kafka Streams.
 *
 * <p>The key is never decoded, and of the value only the event time is read, as our worker does. The
 * counts are in an in-memory window store with a changelog. Duplicates are not looked for.
 *
 * <p>Arguments: cache (true or false), then properties of Kafka Streams as name=value. Runs until
 * SIGTERM.
 */
public final class CountPeer {
  private static final String STORE = "counts";
  private static final long WINDOW_MS = 300_000L;

  /** Header (10 bytes) and dedup id (16) of a value; the event time follows. */
  private static final int TIME_AT = 26;

  private static final Duration RETENTION = Duration.ofHours(6);

  private CountPeer() {}

  public static void main(String[] arguments) throws InterruptedException {
    boolean cache = Boolean.parseBoolean(arguments[0]);
    Properties properties = new Properties();
    String topic = "";
    for (int at = 1; at < arguments.length; at++) {
      String[] pair = arguments[at].split("=", 2);
      if (pair[0].equals("topic")) {
        topic = pair[1];
      } else {
        properties.put(pair[0], pair[1]);
      }
    }
    KafkaStreams streams = new KafkaStreams(topology(topic, cache), properties);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close(Duration.ofSeconds(30));
                  stopped.countDown();
                }));
    streams.start();
    stopped.await();
  }

  private static Topology topology(String topic, boolean cache) {
    StoreBuilder<WindowStore<Bytes, Long>> store =
        Stores.windowStoreBuilder(
                Stores.inMemoryWindowStore(STORE, RETENTION, Duration.ofMillis(WINDOW_MS), false),
                Serdes.Bytes(),
                Serdes.Long())
            .withLoggingEnabled(Map.of());
    if (cache) {
      store.withCachingEnabled();
    }
    return new Topology()
        .addSource("records", new ByteArrayDeserializer(), new ByteArrayDeserializer(), topic)
        .addProcessor("count", Count::new, "records")
        .addStateStore(store, "count");
  }

  private static final class Count implements Processor<byte[], byte[], Void, Void> {
    private WindowStore<Bytes, Long> counts;

    @Override
    public void init(ProcessorContext<Void, Void> context) {
      counts = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> event) {
      long time = zigzag(event.value(), TIME_AT);
      long window = time - Math.floorMod(time, WINDOW_MS);
      Bytes key = Bytes.wrap(event.key());
      Long count = counts.fetch(key, window);
      counts.put(key, count == null ? 1L : count + 1L, window);
    }

    private static long zigzag(byte[] bytes, int at) {
      long value = 0;
      for (int shift = 0; ; shift += 7) {
        byte next = bytes[at++];
        value |= (long) (next & 0x7F) << shift;
        if (next >= 0) {
          return (value >>> 1) ^ -(value & 1);
        }
      }
    }
  }
}

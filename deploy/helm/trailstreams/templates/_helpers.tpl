{{/* Name of the objects: the release's, with the chart's where it is not in it already. */}}
{{- define "trailstreams.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "trailstreams.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "trailstreams.labels" -}}
{{ include "trailstreams.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "trailstreams.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "trailstreams.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "trailstreams.metricsPort" -}}
{{- default 9108 .Values.settings.metrics_port | int -}}
{{- end -}}

{{/* Environment of every container. Written out in the pod template, so that a changed setting restarts the pods.
     toJson: Helm reads every number as a float, and prints 268435456 as 2.68435456e+08 otherwise. */}}
{{- define "trailstreams.env" -}}
{{- $settings := .Values.settings }}
{{- if .Values.kafkaCa.secretName }}
{{- $settings = set (deepCopy $settings) "kafka_ssl_ca_location" "/etc/trailstreams/ca/ca.crt" }}
{{- end }}
{{- range $name, $value := $settings }}
- name: {{ printf "TRAILSTREAMS_%s" (upper $name) }}
  value: {{ if kindIs "string" $value }}{{ $value | quote }}{{ else }}{{ toJson $value | quote }}{{ end }}
{{- end }}
{{- range $name, $secret := dict "KAFKA_SASL" .Values.kafkaSaslPassword "SCHEMA_REGISTRY" .Values.schemaRegistryPassword }}
{{- if $secret.secretName }}
- name: TRAILSTREAMS_{{ $name }}_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $secret.secretName }}
      key: {{ $secret.secretKey }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "trailstreams.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.kafkaCa.secretName }}
- name: kafka-ca
  mountPath: /etc/trailstreams/ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "trailstreams.volumes" -}}
- name: tmp
  emptyDir: {}
{{- with .Values.kafkaCa }}
{{- if .secretName }}
- name: kafka-ca
  secret:
    secretName: {{ .secretName }}
    items:
      - key: {{ .secretKey }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* What every pod has in common. enableServiceLinks: a Service named trailstreams-metrics would inject
     TRAILSTREAMS_METRICS_PORT. No process talks to the Kubernetes API. */}}
{{- define "trailstreams.podSpec" -}}
enableServiceLinks: false
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "trailstreams.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where a pod may run; takes the values of worker or source. */}}
{{- define "trailstreams.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

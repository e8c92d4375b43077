"""Faust, made exact and fast: one message per fetched chunk, state and position in one transaction.

Faust keeps the app, the agents, the topics, the assignor and the group membership; this package
replaces the data path through Faust's own plug points (transport, Table, TableManager).
It is the only place that touches private parts of Faust and aiokafka; `tests/contract` names each.
"""

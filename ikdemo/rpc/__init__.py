"""How documents travel: JSON-RPC 2.0 over HTTP/1.1 on a Unix socket.

Both sides
- ``methods``: the table of every method on the wire: name, documents, deadline, contract's method.
- ``discovery``: where the sockets are; a plugin's name is its socket's file name.

The server of a plugin
- ``server``: the connections of one plugin, drained at the end. Its task ends overdue waits.
- ``listener``: takes the socket's path, listens, accepts. It owns the socket file, and holds the
  directory's lock while it takes the path.
- ``server_connection``: one client's connection; a task while it answers.
- ``http``: which requests are refused, and what a response looks like. Pure.
- ``dispatch``: one body in, one body out: the JSON-RPC envelope, single or batch.
- ``task_pool``: carries out the calls of a batch with as few tasks as can be.
- ``event_ring``: the plugin's latest events, and the readers that wait for the next.

A client of plugins
- ``peers``: plugins by name; streams of events that survive a plugin's restart.
- ``proxies``: the three contracts, carried out by a plugin behind a socket; the handshake.
- ``client``: the pool of connections to one plugin, and what became of each call.
- ``batcher``: calls of one moment sent as one array; a task for each array.
- ``client_connection``: one connection: a request out, an answer in.

Everything runs in the event loop of its caller; there are no threads here.
"""

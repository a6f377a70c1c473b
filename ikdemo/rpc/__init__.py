"""How documents travel: JSON-RPC 2.0 over HTTP on a Unix socket, discovery, and the event ring with
its long poll.
"""

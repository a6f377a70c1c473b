"""An etcd, wherever its members are: how it is reached, what it is asked, and who leads by it.

- ``addresses``: where the members are, and the files of TLS.
- ``etcd_connection``: one connection: a request, its answer, both bounded.
- ``endpoints``: several members under one deadline, and what became of a request.
- ``etcd_client``: a key, a guarded transaction, a lease, a watch.
- ``election``: the leader key, its epoch, and until when a leader may act.

The only place that knows etcd. It needs no package beyond those of the rest, and so is always
there.

Why no client library: a leader has to know, within one deadline over all members, whether a
transaction was not sent, has happened, or may have happened, and its event loop must not block.
Tried against etcd 3.4.23, of what PyPI has in November 2026: etcd3gw 2.7, which OpenStack keeps,
blocks in requests. It asks one member; its time limit is one for each read (an answer in drops took
4.8 s of one second); a connection refused and one that broke after the request was read are the
same error; a watch whose member dies ends without a word. aetcd 1.0 asks one member, without TLS.
etcd-client-py 0.5 is built without TLS, and of a transaction tells only whether it succeeded.
etcd3aio 0.3 sends a transaction again by itself, and takes addresses but no names. The last three
bring gRPC (19 MB) or Rust, and have an author or two.
"""

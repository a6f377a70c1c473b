"""The words: plugin contracts and the documents they exchange.

Everything else imports from here and this imports nothing of ours. No clock, no randomness, no
files, no sockets.
"""

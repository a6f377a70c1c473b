"""The verb ``ikdemo watch``: a group in the terminal, to see it heal and to break it with a key.

- ``watch_verb``: how it begins, and what ends it
- ``monitor``: what is known of the group, kept up to date by tasks of its own
- ``terminal``: the screen and the keyboard; ``frame``: draws what the screen shows
- ``plain_output``: the same in words, where there is no screen
- ``key_actions``: what keys do

All of it is in the thread of the event loop, but for writing: a terminal may be slow.
"""

"""Bugs planted into the wire and its words: what is bounded, what is sent once, what is told, what
people are shown.
"""

from __future__ import annotations

from .mutant import Mutant

MUTANTS = (
    Mutant(
        "ikdemo/rpc/listener.py",
        "        bound.listen(BACKLOG)\n        unready.rename(path)\n",
        "        unready.rename(path)\n        bound.listen(BACKLOG)\n",
        "tests/rpc/test_serving_a_socket.py::test_a_socket_that_is_there_is_never_one_that_does_not_listen",
    ),
    Mutant(
        "ikdemo/rpc/client_connection.py",
        "self._size > (REPLY_LIMIT if self._has_head else HEAD_LIMIT)",
        "self._size > HEAD_LIMIT and not self._has_head",
        "tests/rpc/test_calling_a_plugin.py::test_an_answer_that_never_ends_is_cut_off",
    ),
    Mutant(
        "ikdemo/rpc/client_connection.py",
        "self._size > (REPLY_LIMIT if self._has_head else HEAD_LIMIT)",
        "self._size > REPLY_LIMIT",
        "tests/rpc/test_calling_a_plugin.py::test_a_head_that_never_ends_is_cut_off",
    ),
    Mutant(
        "ikdemo/rpc/client_connection.py",
        "        if self._answer and self._answer.done():\n            self.reusable = False  # a second answer to one request\n",
        "        pass\n",
        "tests/rpc/test_calling_a_plugin.py::test_more_than_one_answer_spoils_the_connection",
    ),
    Mutant(
        "ikdemo/rpc/client_connection.py",
        "not self._transport.is_closing() and not self._poll.poll(0)",
        "not self._transport.is_closing()",
        "tests/rpc/test_calling_a_plugin.py::test_the_kernel_is_asked_whether_an_idle_connection_lives",
    ),
    Mutant(
        "ikdemo/rpc/client.py",
        "if fresh or not (reads or broken.unsent):",
        "if fresh:",
        "tests/rpc/test_calling_a_plugin.py::test_a_provision_is_never_sent_twice",
    ),
    Mutant(
        "ikdemo/rpc/batcher.py",
        "            call.in_batch = None\n",
        "",
        "tests/rpc/test_batcher.py::test_calls_that_are_answered_are_gone_without_the_collector",
    ),
    Mutant(
        "ikdemo/rpc/server_connection.py",
        "        del self._parser",
        "        #",
        "tests/rpc/test_serving_a_socket.py::test_connections_that_are_lost_are_gone_without_the_collector",
    ),
    Mutant(
        "ikdemo/rpc/client_connection.py",
        '        vars(self).pop("_parser", None)',
        "        #",
        "tests/rpc/test_serving_a_socket.py::test_connections_that_are_lost_are_gone_without_the_collector",
    ),
    Mutant(
        "ikdemo/rpc/client.py",
        "if len(text) <= LONGEST_ERROR\n",
        "if True\n",
        "tests/faults/test_bad_plugins.py::test_a_description_that_is_nonsense_is_doubt",
    ),
    Mutant(
        "ikdemo/rpc/server_connection.py",
        "if self._body_bytes > http.BODY_LIMIT:",
        "if False:",
        "tests/rpc/test_http_edges.py::test_a_body_that_grows_too_large_is_refused_while_it_comes",
    ),
    Mutant(
        "ikdemo/rpc/server_connection.py",
        "if self._head_bytes > http.HEAD_LIMIT:",
        "if False:",
        "tests/rpc/test_http_edges.py::test_a_head_that_grows_too_large_is_refused",
    ),
    Mutant(
        "ikdemo/rpc/http.py",
        '    if b"origin" in headers:',
        "    if False:",
        "tests/rpc/test_http_edges.py::test_a_refusal_is_a_plain_sentence",
    ),
    Mutant(
        "ikdemo/rpc/dispatch.py",
        "if not 1 <= len(calls) <= BATCH:",
        "if not calls:",
        "tests/rpc/test_envelope.py::test_a_batch_holds_64_calls",
    ),
    Mutant(
        "ikdemo/rpc/dispatch.py",
        "async with self._at_work:",
        "if True:",
        "tests/rpc/test_serving_a_socket.py::test_calls_at_work_are_bounded_and_long_polls_do_not_count",
    ),
    Mutant(
        "ikdemo/rpc/dispatch.py",
        'if skeleton.count(b"(") == skeleton.count(b")") > 0:',
        "if False:",
        "tests/rpc/test_envelope.py::test_malformed_requests_get_the_codes_of_json_rpc",
    ),
    Mutant(
        "ikdemo/rpc/dispatch.py",
        'plain = _ESCAPE.sub(b"", body) if b"\\\\" in body else body',
        "plain = body",
        "tests/rpc/test_envelope.py::test_brackets_within_strings_are_no_levels",
    ),
    Mutant(
        "ikdemo/rpc/dispatch.py",
        "if max(map(lower.count, _QUOTED)) < 2:",
        "if True:",
        "tests/rpc/test_envelope.py::test_malformed_requests_get_the_codes_of_json_rpc",
    ),
    Mutant(
        "ikdemo/rpc/dispatch.py",
        "object_pairs_hook=note, parse_int=len)",
        "object_pairs_hook=note)",
        "tests/rpc/test_envelope.py::test_malformed_requests_get_the_codes_of_json_rpc",
    ),
    Mutant(
        "ikdemo/rpc/event_ring.py",
        "    if not waiter.done():\n        waiter.set_result(more)",
        "    waiter.set_result(more)",
        "tests/rpc/test_event_ring.py::test_a_reader_that_went_away_makes_room_and_hinders_nobody",
    ),
    Mutant(
        "ikdemo/rpc/event_ring.py",
        "        if len(self._waiting) >= self._watchers:",
        "        if False:",
        "tests/rpc/test_event_ring.py::test_the_longest_waiting_reader_makes_room",
    ),
    Mutant(
        "ikdemo/rpc/event_ring.py",
        " or self._size > HELD_CHARACTERS:",
        ":",
        "tests/rpc/test_event_ring.py::test_what_is_kept_and_what_is_answered_is_bounded_in_size",
    ),
    Mutant(
        "ikdemo/rpc/event_ring.py",
        "since.stream != self._stream or not oldest <= since.next <= self._next",
        "since.stream != self._stream or not oldest <= since.next",
        "tests/rpc/test_event_ring.py::test_cursors_of_another_process_or_from_the_future_are_gaps",
    ),
    Mutant(
        "ikdemo/rpc/event_ring.py",
        "            event = _cut(event)\n",
        "            pass\n",
        "tests/rpc/test_event_ring.py::test_whatever_a_plugin_tells_is_read_by_its_readers",
    ),
    Mutant(
        "ikdemo/rpc/peers.py",
        "told = bool(batch.events) and batch.stream == cursor.stream and later > cursor.next",
        "told = bool(batch.events) and not gap and later > cursor.next",
        "tests/rpc/test_peers_by_name.py::test_a_ring_that_is_overrun_again_and_again_is_asked_at_once",
    ),
    Mutant(
        "ikdemo/rpc/peers.py",
        "gap = first or batch.gap or batch.stream != cursor.stream",
        "gap = first or batch.gap",
        "tests/rpc/test_peers_by_name.py::test_another_stream_is_a_gap_even_if_its_plugin_says_there_is_none",
    ),
    Mutant(
        "ikdemo/rpc/discovery.py",
        "    if found.st_mode & stat.S_IWOTH:",
        "    if False:",
        "tests/rpc/test_discovery.py::test_directories_that_cannot_be_trusted_are_refused",
    ),
    Mutant(
        "ikdemo/spi/documents.py",
        "Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]",
        "Count = Annotated[int, Meta(ge=0)]",
        "tests/spi/test_bounds.py::test_the_sentence_says_where_and_what_was_expected",
    ),
    Mutant(
        "ikdemo/spi/documents.py",
        "Moment = Annotated[float, Meta(ge=-62_135_596_800, le=253_402_300_799)]",
        "Moment = float",
        "tests/spi/test_bounds.py::test_a_moment_is_one_that_a_calendar_has",
    ),
    Mutant(
        "ikdemo/spi/decode.py",
        "what = what if len(what) <= _LONGEST else",
        "what = what if True else",
        "tests/spi/test_bounds.py::test_a_value_that_is_quoted_is_not_quoted_in_full",
    ),
    Mutant(
        "ikdemo/spi/decode.py",
        "    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:",
        "    except (msgspec.DecodeError, UnicodeDecodeError) as error:",
        "tests/spi/test_decode.py::test_what_is_wrong_is_said_in_one_sentence",
    ),
    Mutant(
        "ikdemo/spi/decode.py",
        'if field is not None and text != b"null":',
        "if field is not None:",
        "tests/spi/test_decode.py::test_null_leaves_the_zero_value",
    ),
    Mutant(
        "ikdemo/spi/decode.py",
        'lambda m: m[1] or b"\\\\ufffd", raw)',
        'lambda m: m[1] or b"", raw)',
        "tests/spi/test_decode.py::test_lone_surrogates_become_the_replacement_character",
    ),
    Mutant(
        "ikdemo/spi/durations.py",
        "len(text) > _MOST_SIGNS or ",
        "",
        "tests/spi/test_bounds.py::test_a_duration_of_any_length_is_refused_at_once",
    ),
    Mutant(
        "ikdemo/spi/durations.py",
        'return -seconds if text.startswith("-") else seconds',
        "return seconds",
        "ikdemo/spi/durations.py",
    ),
    Mutant(
        "ikdemo/spi/durations.py",
        "    if seconds >= _LONGEST:",
        "    if False:",
        "tests/spi/test_bounds.py::test_a_duration_is_one_that_go_can_hold",
    ),
    Mutant(
        "ikdemo/spi/text.py",
        '"".join(c if c.isprintable() or c in keep or c in _SPACES else _spelled(c) for c in text)',
        '"".join(c if c.isprintable() or c in keep or c in _SPACES or ord(c) > 0xFFFF else _spelled(c) for c in text)',
        "tests/spi/test_visible.py::test_nothing_is_left_that_cannot_be_seen",
    ),
    Mutant(
        "ikdemo/spi/text.py",
        'f"\\\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)',
        'f"\\\\u{units[at : at + 2].hex()}" for at in range(0, 2, 2)',
        "tests/spi/test_visible.py::test_escaped_json_means_the_same",
    ),
    # one plugin at a time: one that hangs keeps the others waiting
    Mutant(
        "ikdemo/rpc/client.py",
        "            reply = await self._batcher.send(call)\n",
        """            if method == "Events.Watch":
                reply = await self._batcher.send(call)
            else:
                async with vars(Client.call).setdefault("turn", asyncio.Lock()):
                    reply = await self._batcher.send(call)
""",
        "tests/faults/test_hard_times.py::test_a_hanging_instance_plugin_delays_only_its_own_groups",
    ),
)

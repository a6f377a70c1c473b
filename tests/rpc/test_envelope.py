"""The JSON-RPC envelope: what is answered to well-formed calls, byte for byte, and to everything
else.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from ikdemo.rpc.dispatch import Dispatcher
from ikdemo.rpc.event_ring import EventRing

VALIDATE = '{"jsonrpc":"2.0","method":"Instance.Validate","params":%s,"id":%s}'


def answers(plugin: Any, *bodies: str | bytes) -> list[bytes]:
    async def story() -> list[bytes]:
        dispatcher = Dispatcher(plugin, EventRing("plugin"))
        return [
            await dispatcher.answer(body if isinstance(body, bytes) else body.encode())
            for body in bodies
        ]

    return asyncio.run(story())


def error(plugin: Any, body: str | bytes) -> dict[str, Any]:
    reply = json.loads(answers(plugin, body)[0])
    assert list(reply) == ["jsonrpc", "error", "id"]
    assert list(reply["error"]) == ["code", "message", "data"]
    assert reply["error"]["data"] is None
    found: dict[str, Any] = reply["error"]
    return found


def test_a_handshake_names_the_interface_first_and_then_the_extensions(plugins: Any) -> None:
    asked = '{"jsonrpc":"2.0","method":"Plugin.Implements","params":{},"id":1}'
    names = ("Instance", "Batch", "Events")
    apis = ",".join(f'{{"Name":"{name}","Version":"0.1.0"}}' for name in names)
    wanted = (
        '{"jsonrpc":"2.0","result":{"APIs":['
        + apis
        + ',{"Name":"Slots","Version":"0.1.0"}]},"id":1}\n'
    )
    assert answers(plugins.instances(), asked) == [wanted.encode()]


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        ("1.50", "1.50"),
        ("1e3", "1e3"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('"a<b>\u2028"', '"a\\u003cb\\u003e\\u2028"'),
        ('{ "b" : [ 1 , 2 ], "a": " " }', '{"b":[1,2],"a":" "}'),
        ("false", "false"),
    ],
)
def test_the_id_is_echoed_as_text(plugins: Any, sent: str, echoed: str) -> None:
    assert answers(plugins.instances(), VALIDATE % ('{"Properties":{}}', sent)) == [
        f'{{"jsonrpc":"2.0","result":{{"OK":true}},"id":{echoed}}}\n'.encode()
    ]


@pytest.mark.parametrize("id_member", ["", ',"id":null'])
def test_a_notification_is_carried_out_and_not_answered(plugins: Any, id_member: str) -> None:
    plugin = plugins.instances()
    assert answers(
        plugin, '{"jsonrpc":"2.0","method":"Instance.Provision","params":{}' + id_member + "}"
    ) == [b""]
    assert list(plugin.made) == ["instance-0"]


@pytest.mark.parametrize(
    "params",
    ["", ',"params":null', ',"params":[]', ',"params":[null]', ',"params":{}', ',"params":[{}, 1]'],
)
def test_absent_parameters_are_all_zero(plugins: Any, params: str) -> None:
    asked = '{"jsonrpc":"2.0","id":1,"method":"Instance.DescribeInstances"' + params + "}"
    assert answers(plugins.instances(), asked) == [
        b'{"jsonrpc":"2.0","result":{"Descriptions":[]},"id":1}\n'
    ]


def test_members_are_found_in_any_letter_case(plugins: Any) -> None:
    plugin = plugins.instances()
    spec = '{"INIT":"x","logicalid":"l"}'
    asked = (
        '{"JSONRPC":"2.0","Method":"Instance.Provision","PARAMS":{"spec":'
        + spec
        + '},"Id":7,"more":0}'
    )
    assert answers(plugin, asked) == [b'{"jsonrpc":"2.0","result":{"ID":"instance-0"},"id":7}\n']
    assert plugin.made["instance-0"][0].init == "x"
    assert plugin.made["instance-0"][0].logical_id == "l"


def test_properties_pass_as_text_without_white_space(plugins: Any) -> None:
    params = '{"Properties":{},"Spec":{"Properties": { "z": 1.0, "a":"< >" }}}'
    asked = '{"jsonrpc":"2.0","id":1,"method":"Flavor.Prepare","params":' + params + "}"
    spec = (
        '{"Properties":{"z":1.0,"a":"\\u003c '
        '\\u003e"},"Tags":null,"Init":"","LogicalID":null,"Attachments":null}'
    )
    assert answers(plugins.flavor(), asked) == [
        b'{"jsonrpc":"2.0","result":{"Spec":' + spec.encode() + b'},"id":1}\n'
    ]


def test_nothing_is_null_where_infrakit_says_null(plugins: Any) -> None:
    inspect = '{"jsonrpc":"2.0","method":"Group.InspectGroups","params":{},"id":1}'
    describe = '{"jsonrpc":"2.0","method":"Group.DescribeGroup","params":{"ID":"g"},"id":1}'
    assert answers(plugins.groups(), inspect, describe) == [
        b'{"jsonrpc":"2.0","result":{"Groups":null},"id":1}\n',
        b'{"jsonrpc":"2.0","result":{"Description":{"Instances":[],"Converged":true}},"id":1}\n',
    ]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("Nope.Nope", 'rpc: can\'t find service "Nope.Nope"'),
        ("Group.InspectGroups", 'rpc: can\'t find service "Group.InspectGroups"'),
        ("Reconcile.Plan", 'rpc: can\'t find service "Reconcile.Plan"'),
        ("Instance.Nope", 'rpc: can\'t find method "Instance.Nope"'),
        ("instance.Validate", 'rpc: can\'t find service "instance.Validate"'),
        ("Instance", 'rpc: service/method request ill-formed: "Instance"'),
        ("a.b.c", 'rpc: service/method request ill-formed: "a.b.c"'),
        ("", 'rpc: service/method request ill-formed: ""'),
        ("a\n\x01\u2028é\x7f", 'rpc: service/method request ill-formed: "a\\n\\x01\\u2028é\\x7f"'),
    ],
)
def test_unknown_methods_are_named_in_infrakits_words(
    plugins: Any, method: str, message: str
) -> None:
    body = json.dumps({"jsonrpc": "2.0", "method": method, "params": {}, "id": 1})
    assert error(plugins.instances(), body) == {"code": -32000, "message": message, "data": None}


@pytest.mark.parametrize("params", ["{}", '{"Properties":null}', "null"])
def test_validating_no_properties_is_refused(plugins: Any, params: str) -> None:
    refused = error(plugins.instances(), VALIDATE % (params, 1))
    assert refused == {"code": -32000, "message": "Request Properties must be set", "data": None}


def test_a_flavor_is_handed_absent_properties(plugins: Any) -> None:
    body = '{"jsonrpc":"2.0","method":"Flavor.Validate","params":{"Allocation":{"Size":3}},"id":1}'
    assert error(plugins.flavor(), body)["message"] == "no properties for 3"


def test_a_plugins_refusal_is_passed_on_word_for_word(plugins: Any) -> None:
    assert (
        error(plugins.instances(), VALIDATE % ('{"Properties":"refuse"}', 1))["message"]
        == 'no "such" thing: <é>'
    )


def test_a_slip_in_a_plugin_is_one_sentence_and_a_traceback_in_its_log(
    plugins: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        refused = error(plugins.instances(), VALIDATE % ('{"Properties":"broken"}', 1))
    assert refused["code"] == -32603
    assert (
        refused["message"]
        == "Instance.Validate failed inside the plugin (KeyError); its log says where"
    )
    assert "a slip in the plugin" in caplog.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"  \n", -32700),
        (b"{", -32700),
        (b'{"jsonrpc":"2.0","id":1} x', -32700),
        (b"\xef\xbb\xbf{}", -32700),
        (
            b'{"jsonrpc":"2.0","method":"Instance.Validate","params":{"Properties":"\xff"},"id":1}',
            -32700,
        ),
        (b'{"id":' + b"[" * 500_000 + b"]" * 500_000 + b"}", -32700),
        (
            b'{"jsonrpc":"2.0","method":"Plugin.Implements","params":'
            + b"[" * 64
            + b"]" * 64
            + b',"id":1}',
            -32700,
        ),
        (b'{"jsonrpc":"2.0","method":"Plugin.Implements","id":1,"ID":2}', -32600),
        (
            b'{"jsonrpc":"2.0","method":"Plugin.Implements","Method":"Instance.Destroy","id":1}',
            -32600,
        ),
        (b'{"jsonrpc":"2.0","method":"Plugin.Implements","id":NaN}', -32700),
        (
            b'{"jsonrpc":"2.0","method":"Plugin.Implements","id":' + b"9" * 5000 + b',"ID":2}',
            -32600,
        ),
        (
            b'{"jsonrpc":"2.0","method":"Events.Watch","params":{"Since":{"Next":'
            + b"9" * 30
            + b'}},"id":1}',
            -32602,
        ),
        (
            b'{"jsonrpc":"2.0","method":"Events.Watch","params":{"Since":{"Next":'
            + b"9" * 5000
            + b'}},"id":1}',
            -32602,
        ),
        (
            b'{"jsonrpc":"2.0","method":"Events.Watch","params":{"Since":{"Next":-1}},"id":1}',
            -32602,
        ),
        (b'{"jsonrpc":"2.0","method":"Events.Watch","params":{"Timeout":1e999},"id":1}', -32602),
        (b"5", -32600),
        (b'"text"', -32600),
        (b"null", -32600),
        (b"[]", -32600),
        (b'{"method":"Instance.Validate","id":1}', -32600),
        (b'{"jsonrpc":2.0,"method":"Instance.Validate","id":1}', -32600),
        (b'{"jsonrpc":"2.0","method":5,"id":1}', -32600),
        (b'{"jsonrpc":"2.0","method":"Instance.Validate","params":5,"id":1}', -32602),
        (b'{"jsonrpc":"2.0","method":"Instance.Destroy","params":{"Instance":5},"id":1}', -32602),
        (b'{"jsonrpc":"2.0","method":"Instance.Destroy","params":["x"],"id":1}', -32602),
    ],
)
def test_malformed_requests_get_the_codes_of_json_rpc(plugins: Any, body: bytes, code: int) -> None:
    assert error(plugins.instances(), body)["code"] == code


@pytest.mark.parametrize(
    "text", ["[" * 100, "{[" * 100 + "]}" * 100, 'a\\" ' + "[" * 100 + "]" * 100, "\\\\"]
)
def test_brackets_within_strings_are_no_levels(plugins: Any, text: str) -> None:
    [said] = answers(
        plugins.instances(),
        VALIDATE % (f'{{"Properties":{{"a":"{text}","b":{"[" * 60 + "]" * 60}}}}}', 1),
    )
    assert said == b'{"jsonrpc":"2.0","result":{"OK":true},"id":1}\n'


def test_a_wrong_parameter_is_named_with_its_path(plugins: Any) -> None:
    body = (
        '{"jsonrpc":"2.0","method":"Instance.Provision","params":{"Spec":{"Tags":{"a":1}}},"id":1}'
    )
    assert error(plugins.instances(), body)["message"].startswith("$.Spec.Tags")


@pytest.mark.parametrize(
    "element",
    [
        b"5",
        b"null",
        b'"text"',
        b'{"jsonrpc":"2.0","id":1,"ID":2}',
        b'{"jsonrpc":"2.0","method":"a","Method":"b","id":1}',
    ],
)
def test_an_element_of_a_batch_hears_what_is_wrong_with_it_as_a_single_call_does(
    plugins: Any, element: bytes
) -> None:
    plugin = plugins.instances()
    alone = error(plugin, element)
    [among] = json.loads(answers(plugin, b"[" + element + b"]")[0])
    assert among["error"] == alone | {"message": alone["message"].replace("$:", "$[0]:")}


def test_an_id_of_any_length_is_given_back(plugins: Any) -> None:
    number = b"9" * 5000
    [said] = answers(
        plugins.instances(), b'{"jsonrpc":"2.0","method":"Plugin.Implements","id":' + number + b"}"
    )
    assert said.endswith(b'"id":' + number + b"}\n")


def test_a_batch_is_answered_in_order_without_its_notifications(plugins: Any) -> None:
    batch = [
        {"jsonrpc": "2.0", "method": "Instance.Validate", "params": {"Properties": 1}, "id": "a"},
        {"jsonrpc": "2.0", "method": "Instance.Validate", "params": {"Properties": 1}},
        5,
        {"jsonrpc": "2.0", "method": "Nope.Nope", "id": "b"},
    ]
    replies = json.loads(answers(plugins.instances(), json.dumps(batch))[0])
    assert [(reply["id"], reply.get("error", {}).get("code")) for reply in replies] == [
        ("a", None),
        (None, -32600),
        ("b", -32000),
    ]


def test_a_batch_of_notifications_is_answered_with_nothing(plugins: Any) -> None:
    assert answers(plugins.instances(), '[{"jsonrpc":"2.0","method":"Instance.Provision"}]') == [
        b""
    ]


def test_a_batch_holds_64_calls(plugins: Any) -> None:
    one = '{"jsonrpc":"2.0","method":"Instance.Provision","id":1}'
    plugin = plugins.instances()
    assert len(json.loads(answers(plugin, "[" + ",".join([one] * 64) + "]")[0])) == 64
    assert error(plugin, "[" + ",".join([one] * 65) + "]")["code"] == -32600
    assert len(plugin.made) == 64


def test_slots_reach_only_plugins_that_offer_them(plugins: Any) -> None:
    body = '{"jsonrpc":"2.0","method":"Instance.Provision","params":{"Spec":{},"Slot":"3"},"id":1}'
    describe = (
        '{"jsonrpc":"2.0","method":"Instance.DescribeInstances",'
        '"params":{"Tags":{},"Slots":true},"id":1}'
    )
    for offers, slot, members in (
        (frozenset({"Slots"}), "3", ["ID", "LogicalID", "Tags", "Slot"]),
        (frozenset(), None, ["ID", "LogicalID", "Tags"]),
    ):
        plugin = plugins.instances(offers)
        described = answers(plugin, body, describe)[1]
        assert plugin.made["instance-0"][1] == slot
        assert list(json.loads(described)["result"]["Descriptions"][0]) == members


def test_epochs_reach_only_plugins_that_offer_fence(plugins: Any) -> None:
    class Fencing(plugins.instances):
        asked: list[Any]

        async def provision(self, spec: Any, slot: str | None = None, **rest: Any) -> str | None:
            self.asked.append(rest)
            return await super().provision(spec, slot)

        async def destroy(self, instance: str, **rest: Any) -> None:
            self.asked.append(rest)
            await super().destroy(instance)

        async def claim(self, group: str, epoch: int) -> None:
            self.asked.append({group: epoch})

    head = '{"jsonrpc":"2.0","id":1,"method":"Instance.'
    calls = (
        head + 'Claim","params":{"Group":"web","Epoch":9}}',
        head + 'Provision","params":{"Spec":{},"Epoch":9}}',
        head + 'Destroy","params":{"Instance":"instance-0","epoch":9}}',
    )
    for offers, asked in (
        (frozenset({"Fence"}), [{"web": 9}, {"epoch": 9}, {"epoch": 9}]),
        (frozenset({"Slots"}), [{}, {}]),
    ):
        plugin = Fencing(offers)
        plugin.asked = []
        assert ["error" in json.loads(one) for one in answers(plugin, *calls)] == [
            "Fence" not in offers,
            False,
            False,
        ]
        assert plugin.asked == asked


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("{}", "$.Group: expected a group's ID"),
        ('{"Group":"web"}', "$.Epoch: expected a whole number >= 1"),
        ('{"Group":"web","Epoch":null}', "$.Epoch: expected a whole number >= 1"),
        ('{"Group":"web","Epoch":0}', "$.Epoch"),
        ('{"Group":"web","Epoch":-1}', "$.Epoch"),
        ('{"Group":"web","Epoch":9223372036854775808}', "$.Epoch"),
        ('{"Group":"web","Epoch":"9"}', "$.Epoch"),
        ('{"Group":"web","Epoch":1.5}', "$.Epoch"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(plugins: Any, params: str, said: str) -> None:
    plugin = plugins.instances(frozenset({"Fence"}))
    call = '{"jsonrpc":"2.0","method":"Instance.Claim","params":' + params + ',"id":1}'
    assert said in error(plugin, call)["message"]


def test_a_group_plugin_that_fences_has_no_instances_to_claim(plugins: Any) -> None:
    plugin = plugins.groups()
    plugin.offers = frozenset({"Fence"})
    call = '{"jsonrpc":"2.0","method":"Instance.Claim","params":{"Group":"g","Epoch":1},"id":1}'
    assert error(plugin, call)["message"] == 'rpc: can\'t find service "Instance.Claim"'


def test_an_empty_slot_is_none(plugins: Any) -> None:
    plugin = plugins.instances()
    answers(
        plugin,
        '{"jsonrpc":"2.0","method":"Instance.Provision","params":{"Spec":{},"Slot":""},"id":1}',
    )
    assert plugin.made["instance-0"][1] is None

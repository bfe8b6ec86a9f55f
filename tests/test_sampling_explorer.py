"""The sampling explorer: its arithmetic, and what a learner sees and does."""

import os
from collections.abc import Iterator
from itertools import pairwise
from math import exp, inf, isclose, log

import ipywidgets as widgets
import openai
import pytest
from ipywidgets.widgets.widget import _instances
from openai.types import Completion
from openai.types.chat import ChatCompletion

from helpers import lesson, start
from helpers.widgets.sampling_explorer import (
    OTHERS,
    distribution,
    nucleus,
    percent,
    read_steps,
    sampling_explorer,
    temper,
    visible,
)

HALVES = {"a": log(0.5), "b": log(0.3), "c": log(0.2)}
SOME = {"a": log(0.4), "b": log(0.1)}  # and 0.5 that isn't listed
HOSTILE = "<img src=x onerror=alert(1)>"


pytestmark = pytest.mark.usefixtures("own_lesson", "own_widgets")


@pytest.fixture
def client(monkeypatch) -> Iterator[openai.OpenAI]:
    """A client that is answered by the recordings, as in a chapter."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    start("02_completions")
    yield openai.OpenAI()
    lesson._recordings_on.close()
    lesson._set_by_start.clear()


@pytest.fixture
def completion(client) -> Completion:
    """A recorded completion, whose fourth token isn't the most probable one."""
    return client.completions.create(
        model="smollm2-135m-instruct",
        prompt="The capital of France is",
        max_tokens=24,
        temperature=0,
        seed=4,
        logprobs=5,
    )


@pytest.fixture
def chat(client) -> ChatCompletion:
    """A recorded reply of the chat API."""
    start("03_chat")
    return client.chat.completions.create(
        model="smollm2-135m-instruct",
        messages=[{"role": "user", "content": "Write one sentence about the sea."}],
        max_tokens=20,
        temperature=0,
        seed=4,
        logprobs=True,
        top_logprobs=5,
    )


def reply(*steps: tuple[str, float | None, dict[str, float] | None], **fields) -> Completion:
    """A completion of such tokens, log-probabilities and candidates."""
    tokens, logprobs, tops = zip(*steps, strict=True) if steps else ((), (), ())
    given = {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": tops} | fields
    choice = {"text": "", "index": 0, "finish_reason": "stop", "logprobs": given}
    return Completion.construct(choices=[choice])  # unchecked, as the SDK does it


def chat_reply(logprobs: dict | None) -> ChatCompletion:
    message = {"role": "assistant", "content": ""}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": logprobs}
    return ChatCompletion.model_validate(
        {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    )


def find(box: widgets.Widget, name: str) -> list[widgets.Widget]:
    """The widgets of a CSS class."""
    found = [box] if name in getattr(box, "_dom_classes", ()) else []
    return found + [w for child in getattr(box, "children", ()) for w in find(child, name)]


def the(box: widgets.Widget, name: str) -> widgets.Widget:
    [widget] = find(box, f"sampling-{name}")
    return widget


def approximately(expected: dict) -> dict:
    return pytest.approx(expected, abs=1e-9)


# --- the arithmetic ---------------------------------------------------------------------------


def test_temperature_1_and_top_p_1_change_nothing():
    shares = distribution(HALVES, 1, 1)
    assert shares == approximately({"a": 0.5, "b": 0.3, "c": 0.2, OTHERS: 0})


def test_half_the_temperature_squares_the_probabilities():
    # p^(1/0.5) = p²: 0.25, 0.09, 0.04, together 0.38
    shares = distribution(HALVES, 0.5, 1)
    assert shares == approximately({"a": 25 / 38, "b": 9 / 38, "c": 4 / 38, OTHERS: 0})


def test_twice_the_temperature_takes_the_root_of_the_probabilities():
    # p^(1/2) of 0.64, 0.36: 0.8, 0.6, together 1.4
    shares = distribution({"a": log(0.64), "b": log(0.36)}, 2, 1)
    assert shares == approximately({"a": 8 / 14, "b": 6 / 14, OTHERS: 0})


def test_others_have_at_temperature_1_what_the_candidates_leave():
    assert distribution(SOME, 1, 1) == approximately({"a": 0.4, "b": 0.1, OTHERS: 0.5})


def test_others_count_as_tokens_as_probable_as_the_least_candidate():
    # 0.5 is 5 tokens of 0.1; squared: 0.16, 0.01, 5 · 0.01, together 0.22
    assert distribution(SOME, 0.5, 1) == approximately({"a": 16 / 22, "b": 1 / 22, OTHERS: 5 / 22})


def test_others_that_are_less_than_the_least_candidate_count_as_one_token():
    # 0.6, 0.3, and 0.1 < 0.3; squared: 0.36, 0.09, 0.01, together 0.46
    shares = distribution({"a": log(0.6), "b": log(0.3)}, 0.5, 1)
    assert shares == approximately({"a": 36 / 46, "b": 9 / 46, OTHERS: 1 / 46})


def test_others_fade_where_the_temperature_comes_near_0():
    """However many they are: at 0 the most probable candidate has it all, without a leap."""
    unsure = {"a": log(0.1), "b": log(0.02)}
    assert distribution(unsure, 0.05, 1)["a"] == pytest.approx(1, abs=1e-9)
    assert distribution(unsure, 0, 1) == {"a": 1, "b": 0, OTHERS: 0}


def test_top_p_keeps_the_first_until_they_reach_it():
    # 0.5 + 0.3 ≥ 0.6, so c is cut; 0.5/0.8, 0.3/0.8
    assert distribution(HALVES, 1, 0.6) == approximately(
        {"a": 0.625, "b": 0.375, "c": 0, OTHERS: 0}
    )


def test_top_p_that_is_reached_exactly_keeps_no_more():
    """0.7 + 0.2 is 0.8999999999999999."""
    shares = nucleus({"a": 0.7, "b": 0.2, "c": 0.1, OTHERS: 0.0}, 0.9)
    assert shares == approximately({"a": 7 / 9, "b": 2 / 9, "c": 0, OTHERS: 0})


def test_others_keep_only_what_is_missing_to_top_p():
    # 0.4 + 0.1, and 0.3 of the others' 0.5 are missing to 0.8
    assert distribution(SOME, 1, 0.8) == approximately({"a": 0.5, "b": 0.125, OTHERS: 0.375})


def test_others_are_cut_where_the_candidates_reach_top_p():
    assert distribution(SOME, 1, 0.5) == approximately({"a": 0.8, "b": 0.2, OTHERS: 0})


def test_the_least_top_p_leaves_one():
    assert distribution(HALVES, 1, 0.05) == {"a": 1, "b": 0, "c": 0, OTHERS: 0}


def test_top_p_cuts_what_the_temperature_has_made():
    # at T=0.5 as above 25/38 = 0.658, which is enough for 0.6
    assert distribution(HALVES, 0.5, 0.6) == {"a": 1, "b": 0, "c": 0, OTHERS: 0}


def test_temperature_0_gives_all_to_the_most_probable():
    assert distribution(HALVES, 0, 0.5) == {"a": 1, "b": 0, "c": 0, OTHERS: 0}


def test_of_equals_one_has_it_all_at_temperature_0_and_each_the_same_at_any_other():
    equals = {"a": log(0.5), "b": log(0.5)}
    assert distribution(equals, 0, 1) == {"a": 1, "b": 0, OTHERS: 0}
    assert distribution(equals, 1.7, 1) == approximately({"a": 0.5, "b": 0.5, OTHERS: 0})


def test_the_greatest_comes_first_and_others_last():
    shares = distribution({"c": log(0.1), "a": log(0.3), "b": log(0.2)}, 1, 1)
    assert [*shares] == ["a", "b", "c", OTHERS]


@pytest.mark.parametrize("nothing", [-inf, -9999.0])
@pytest.mark.parametrize("temperature", [0, 0.05, 1, 2])
def test_a_token_that_cant_come_never_comes(nothing, temperature):
    """OpenAI gives -9999 for a token that is most improbable."""
    shares = distribution({"a": log(0.5), "b": nothing}, temperature, 1)
    assert shares["b"] == 0
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("temperature", [0, 0.05, 1, 2])
@pytest.mark.parametrize("top_p", [0.05, 1])
def test_where_no_candidate_can_come_the_others_have_it_all(temperature, top_p):
    assert distribution({"a": -inf, "b": -inf}, temperature, top_p) == {"a": 0, "b": 0, OTHERS: 1}


def test_a_logprob_above_0_by_rounding_counts_as_certain():
    shares = distribution({"a": 1e-7, "b": -16.0}, 1, 1)
    assert shares[OTHERS] == 0
    assert sum(shares.values()) == pytest.approx(1)


def test_what_is_left_by_rounding_alone_isnt_others():
    third = -1.0986123085021973  # log(1/3), as 32 bits hold it
    assert distribution(dict.fromkeys("abc", third), 2, 1)[OTHERS] == 0


def test_others_that_are_nearly_all_keep_it():
    shares = distribution({"a": log(1e-4)}, 1, 1)
    assert shares == approximately({"a": 1e-4, OTHERS: 1 - 1e-4})


def test_one_most_improbable_candidate_doesnt_multiply_the_others_beyond_a_vocabulary():
    shares = distribution({"a": log(0.5), "b": -740.0}, 2, 1)
    # 0.5 as 100 000 tokens of 5e-6: 1e5 · √5e-6 = 223.6, against √0.5 = 0.707
    assert shares[OTHERS] == pytest.approx(223.6 / (223.6 + 0.7071), abs=1e-4)


@pytest.mark.parametrize(
    "logprobs", [HALVES, SOME, {"a": -0.001}, {"a": -9.0, "b": -9.0}, {c: -3.0 for c in "abcdef"}]
)
def test_shares_are_a_distribution_that_a_higher_temperature_makes_flatter(logprobs):
    temperatures = [step / 20 for step in range(41)]
    tops = []
    for temperature in temperatures:
        for top_p in (0.05, 0.3, 0.5, 0.95, 1):
            shares = distribution(logprobs, temperature, top_p)
            assert isclose(sum(shares.values()), 1)
            assert all(0 <= share <= 1 for share in shares.values())
            assert [*shares] == [*temper(logprobs, 1)]
        tops.append(max(share for token, share in shares.items() if token is not OTHERS))
    assert all(now <= before + 1e-12 for before, now in pairwise(tops))


# --- reading a reply --------------------------------------------------------------------------


def test_a_completion_is_read_as_recorded(completion):
    steps = read_steps(completion)
    assert "".join(step.token for step in steps) == completion.choices[0].text
    assert steps[0].logprobs[" Paris"] == steps[0].logprob == -0.264419287443161


def test_a_chat_reply_is_read_as_recorded(chat):
    steps = read_steps(chat)
    given = chat.choices[0].logprobs.content
    assert [step.token for step in steps] == [item.token for item in given]
    assert [step.logprob for step in steps] == [item.logprob for item in given]
    assert all({o.token for o in i.top_logprobs} <= {*s.logprobs} for i, s in zip(given, steps))


def test_a_token_that_isnt_among_the_top_ones_is_added():
    [step] = read_steps(reply(("z", -5.0, {"a": -0.5, "b": -2.0})))
    assert step.logprobs == {"a": -0.5, "b": -2.0, "z": -5.0}


def test_of_candidates_that_read_the_same_the_most_probable_stays():
    top = [{"token": "�", "logprob": logprob, "bytes": None} for logprob in (-1.0, -3.0)]
    item = {"token": "a", "logprob": -0.9, "bytes": None, "top_logprobs": top}
    [step] = read_steps(chat_reply({"content": [item], "refusal": None}))
    assert step.logprobs == {"a": -0.9, "�": -1.0}


def test_a_refusal_is_read_like_a_reply():
    item = {"token": "No", "logprob": -0.9, "bytes": None}
    item["top_logprobs"] = [{"token": "No", "logprob": -0.9, "bytes": None}]
    [step] = read_steps(chat_reply({"content": None, "refusal": [item]}))
    assert step.token == "No"


def test_an_echoed_prompts_first_token_which_nothing_predicts_is_left_out():
    [step] = read_steps(reply(("Say", None, None), (" it", -1.0, {" it": -1.0})))
    assert step.token == " it"


def without_logprobs() -> list[Completion | ChatCompletion]:
    bare = {"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    plain = reply()
    plain.choices[0].logprobs = None
    return [
        plain,
        reply(tokens=None),
        reply(("a", -1.0, None), top_logprobs=None),
        chat_reply(None),
        chat_reply({"content": None, "refusal": None}),
        chat_reply({"content": [bare], "refusal": None}),
    ]


@pytest.mark.parametrize("response", without_logprobs())
def test_without_logprobs_it_says_how_to_ask_for_them(response):
    with pytest.raises(ValueError, match=r"logprobs=5.*logprobs=True, top_logprobs=5"):
        sampling_explorer(response)


@pytest.mark.parametrize(
    "response",
    [reply(), chat_reply({"content": [], "refusal": None}), Completion.construct(choices=[])],
)
def test_an_empty_reply_is_said_to_be_empty(response):
    panel = sampling_explorer(response)
    assert "回复是空的" in panel.children[-1].value
    assert "回复是空的" in panel._repr_mimebundle_()["text/plain"]
    panel.close()


# --- what is seen and done --------------------------------------------------------------------


def test_the_first_tokens_candidates_are_shown_with_their_probabilities(completion):
    bars = the(sampling_explorer(completion), "bars").value
    # exp(-0.2644) = 0.768, exp(-2.804) = 0.061
    for part in ("第 1 个 token（共 24 个）", "<code>␣Paris</code> ✓", "76.8%", "6.1%", "其他"):
        assert part in bars


def test_a_chat_reply_is_shown_too(chat):
    panel = sampling_explorer(chat)
    assert len(find(panel, "sampling-token")) == len(chat.choices[0].logprobs.content)


def test_a_slider_changes_the_bars_at_once_and_leaves_the_original_beside():
    panel = sampling_explorer(reply(("a", log(0.64), {"a": log(0.64), "b": log(0.36)})))
    the(panel, "temperature").value = 2
    assert "<td>64.0%</td><td>57.1%</td>" in the(panel, "bars").value  # 8/14
    the(panel, "top-p").value = 0.5
    assert "<td>64.0%</td><td>100.0%</td>" in the(panel, "bars").value
    assert "<td>36.0%</td><td>去掉</td>" in the(panel, "bars").value


def test_a_tokens_button_says_its_probability_and_where_it_is(completion):
    button = find(sampling_explorer(completion), "sampling-token")[2]
    assert button.description == "↵"
    assert button.tooltip == "第 3 个 token：↵，概率 35.9%"  # exp(-1.025)


@pytest.mark.parametrize(
    ("share", "kinds"),
    [(0.9, set()), (0.6, set()), (0.59, {"medium"}), (0.2, {"medium"}), (0.19, {"unsure"})],
)
def test_a_token_is_marked_by_how_sure_the_model_was(share, kinds):
    logprob = log(share) + 1e-12
    panel = sampling_explorer(reply(("a", logprob, {"a": logprob})))
    classes = {*the(panel, "token")._dom_classes} - {"sampling-token", "sampling-current"}
    assert classes == {f"sampling-{kind}" for kind in kinds}


def test_a_click_on_a_token_walks_there(completion):
    panel = sampling_explorer(completion)
    tokens = find(panel, "sampling-token")
    tokens[3].click()
    assert find(panel, "sampling-current") == [tokens[3]]
    assert "第 4 个 token（共 24 个）：写下的是 <code>-</code> ✓" in the(panel, "bars").value


def test_the_arrows_walk_along_the_reply_to_its_ends():
    panel = sampling_explorer(reply(*[(c, -1.0, {c: -1.0}) for c in "abc"]))
    tokens, back, ahead = find(panel, "sampling-token"), the(panel, "previous"), the(panel, "next")
    assert (back.disabled, ahead.disabled) == (True, False)
    ahead.click()
    assert find(panel, "sampling-current") == [tokens[1]]
    assert (back.disabled, ahead.disabled) == (False, False)
    ahead.click()
    assert (back.disabled, ahead.disabled) == (False, True)
    back.click()
    assert find(panel, "sampling-current") == [tokens[1]]


@pytest.mark.parametrize(("arrow", "end"), [("previous", 0), ("next", 1)])
def test_a_second_click_at_the_end_stays_there(arrow, end):
    panel = sampling_explorer(reply(*[(c, -1.0, {c: -1.0}) for c in "ab"]))
    for _ in range(3):
        the(panel, arrow).click()
    assert find(panel, "sampling-current") == [find(panel, "sampling-token")[end]]


def test_walking_keeps_the_sliders():
    panel = sampling_explorer(reply(*[(c, -1.0, {c: -1.0}) for c in "ab"]))
    the(panel, "temperature").value = 0.5
    the(panel, "next").click()
    assert the(panel, "temperature").value == 0.5


def test_draws_are_counted(completion):
    panel = sampling_explorer(completion)
    the(panel, "draw-one").click()
    assert "抽到 1 次" in the(panel, "bars").value
    the(panel, "draw").click()
    assert "抽到 101 次" in the(panel, "bars").value


def test_what_is_drawn_comes_near_the_probabilities():
    """10000 draws: the standard deviation is at most 0.5 percentage points."""
    panel = sampling_explorer(reply(("a", log(0.64), {"a": log(0.64), "b": log(0.2)})), seed=1)
    for _ in range(100):
        the(panel, "draw").click()
    shares = [
        float(row.rpartition("（")[2].partition("%")[0])
        for row in the(panel, "bars").value.split("<tr>")[2:]
    ]
    assert shares == pytest.approx([64, 20, 16], abs=2)


def test_what_is_cut_is_never_drawn():
    panel = sampling_explorer(reply(("a", log(0.6), {"a": log(0.6), "b": log(0.4)})), seed=1)
    the(panel, "top-p").value = 0.5
    the(panel, "draw").click()
    assert "100（100.0%）" in the(panel, "bars").value
    assert "<td>去掉</td><td>0（0.0%）</td>" in the(panel, "bars").value


@pytest.mark.parametrize("change", ["temperature", "top-p", "next", "clear"])
def test_the_counts_begin_anew_where_the_probabilities_do(change):
    panel = sampling_explorer(reply(*[(c, -1.0, {c: -1.0}) for c in "ab"]))
    the(panel, "draw").click()
    control = the(panel, change)
    if isinstance(control, widgets.Button):
        control.click()
    else:
        control.value = 0.5
    assert "抽到 0 次" in the(panel, "bars").value


def test_two_explorers_have_nothing_in_common(completion):
    first, second = (sampling_explorer(completion) for _ in range(2))
    before = the(second, "bars").value
    find(first, "sampling-token")[3].click()
    the(first, "temperature").value = 0
    the(first, "draw").click()
    first.close()
    assert the(second, "bars").value == before
    assert the(second, "temperature").value == 1
    the(second, "draw").click()
    assert "抽到 100 次" in the(second, "bars").value


def test_the_same_seed_draws_the_same(completion):
    bars = []
    for _ in range(2):
        panel = sampling_explorer(completion, seed=3)
        the(panel, "draw").click()
        bars.append(the(panel, "bars").value)
    assert bars[0] == bars[1]


def test_closing_frees_all_of_its_widgets(completion):
    before = {*_instances}
    panel = sampling_explorer(completion)
    find(panel, "sampling-token")[3].click()
    panel.close()
    assert {*_instances} == before


def test_no_token_is_markup():
    top = {HOSTILE: -1.0, "<script>x</script>": -2.0, "&lt;": -3.0}
    panel = sampling_explorer(reply((HOSTILE, -1.0, top)))
    bars = the(panel, "bars").value
    assert "<img" not in bars and "<script" not in bars
    assert "&lt;img␣src=x␣onerror=alert(1)&gt;" in bars
    assert "&amp;lt;" in bars
    assert "<img" not in panel._repr_mimebundle_()["text/html"]


def test_a_token_that_reads_like_the_others_isnt_them():
    panel = sampling_explorer(reply(("其他", log(0.7), {"其他": log(0.7)})))
    bars = the(panel, "bars").value
    assert '<th scope="row"><code>其他</code> ✓</th>' in bars
    assert '<th scope="row">其他</th>' in bars


@pytest.mark.parametrize(
    ("token", "seen"),
    [
        (" Paris", "␣Paris"),
        (" \n", "␣↵"),
        ("\t", "⇥"),
        ("", "（空）"),
        ("海", "海"),
        ("'\\", "'\\"),
        ("\u202e", "\\u202e"),  # turns the direction of what follows
        ("\x00", "\\x00"),
        ("\u3000", "\\u3000"),
        ("\ud83d", "\\ud83d"),  # half a character, which can't be sent to a browser
    ],
)
def test_nothing_in_a_token_is_invisible(token, seen):
    assert visible(token) == seen


def test_a_little_isnt_shown_as_nothing():
    assert [percent(share) for share in (0, 0.0004, 0.0006, 1)] == [
        "0.0%",
        "<0.1%",
        "0.1%",
        "100.0%",
    ]


def test_of_a_long_reply_120_tokens_are_shown_and_it_says_so():
    panel = sampling_explorer(reply(*[("a", -1.0, {"a": -1.0})] * 300))
    assert len(find(panel, "sampling-token")) == 120
    assert "只显示前 120 个 token，共 300 个" in panel.children[3].value
    find(panel, "sampling-token")[-1].click()
    assert the(panel, "next").disabled
    assert "只显示前 120 个 token" in panel._repr_mimebundle_()["text/plain"]


def test_each_control_says_what_it_does(completion):
    panel = sampling_explorer(completion)
    for name in ("temperature", "top-p", "draw", "draw-one", "clear", "previous", "next"):
        assert the(panel, name).tooltip
    assert "0 到 2" in the(panel, "temperature").tooltip
    assert "0.05 到 1" in the(panel, "top-p").tooltip


def test_without_a_kernel_there_is_text(completion):
    text = sampling_explorer(completion)._repr_mimebundle_()["text/plain"]
    assert text == sampling_explorer(completion)._repr_mimebundle_()["text/plain"]
    lines = text.splitlines()
    assert lines[:3] == ["第 1 个 token 的候选和概率：", " 76.8%  ␣Paris", "  6.1%  ␣the"]
    assert lines[6].endswith("其他")
    assert lines[8:10] == ["写下的 token 和概率：", " 76.8%  ␣Paris"]
    assert len(lines) == 9 + 24


def test_the_original_bar_stays_what_the_model_gave(completion):
    share = exp(-0.264419287443161)
    panel = sampling_explorer(completion)
    the(panel, "temperature").value = 0
    assert f'class="sampling-original" style="width:{share:.2%}"' in the(panel, "bars").value
    assert 'class="sampling-now" style="width:100.00%"' in the(panel, "bars").value

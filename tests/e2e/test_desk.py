"""Between a click and its result: one click is one job, refusals stay, each picture has its own doings, a chat follows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pipelines.messages import ImageRequest
from tests.e2e.test_tabs import generate, made, open_tab, prompt_of

pytestmark = pytest.mark.browser

SCRIPTS = ("stream", "atelier", "desk", "queue")  # in their order
FINGER = 40  # pixels a finger needs


def number_of(page: Page, field: str) -> Any:
    return page.locator(f"#{field} input").first


def test_a_refusal_stays_until_something_changes(page: Page, studio: Any) -> None:
    """It once was gone after a second: anything that asked about the same fields wiped it away."""
    before = len(studio.jobs())
    open_tab(page, "image")
    prompt_of(page, "image").fill("a star")
    number_of(page, "image-width").fill("100")
    page.locator("#generate-image").click()
    beside, near = page.locator("#image-width .field-error"), page.locator("#pane-image .inputs .problem")
    expect(beside).to_have_text("100 is not a multiple of 8: use 96 or 104.")
    expect(near).to_contain_text("Width: 100 is not a multiple of 8")
    expect(number_of(page, "image-width")).to_have_attribute("aria-invalid", "true")
    # the page goes on asking: what the form would take, which models there are
    page.evaluate("for (const ask of ['plan', 'refresh', 'plan']) window.atelier.send('image', ask, {})")
    page.locator("[data-nav=library]").click()
    expect(page.locator("#library-grid .tile, #library-grid .empty").first).to_be_visible()
    page.locator("nav [data-nav=image]").click()
    expect(beside).to_be_visible()
    page.locator("#generate-image").click()
    expect(beside).to_have_count(1)
    number_of(page, "image-width").fill("128")
    expect(beside).to_have_count(0)
    expect(near).to_be_hidden()
    assert len(studio.jobs()) == before


def test_a_refusal_stays_when_the_page_tells_late_of_what_was_refused(page: Page) -> None:
    """Gradio tells of a number half a second after it was typed; whoever pressed Generate at once saw the refusal for a blink."""
    open_tab(page, "image")
    prompt_of(page, "image").fill("a star")
    number_of(page, "image-width").fill("100")
    page.locator("#generate-image").click()
    beside = page.locator("#image-width .field-error")
    expect(beside).to_be_visible()
    page.evaluate("() => { window.before = window.atelier.captured; window.late = 0; }")
    page.evaluate(
        "() => { window.atelier.captured = (...told) => { window.late += 1; return window.before(...told); }; }"
    )
    number_of(page, "image-width").dispatch_event("input")
    page.wait_for_function("window.late > 0")
    expect(beside).to_be_visible()
    number_of(page, "image-height").fill("128")
    expect(beside).to_have_count(0)


def hold(page: Page, event: str) -> list[Any]:
    """Keep back what the page asks by that event; `let_go` sends it on."""
    held: list[Any] = []
    waiting = re.compile(event)

    def look(route: Any) -> None:
        if waiting.search(route.request.post_data or "") and "open" not in held:
            held.append(route)
        else:
            route.continue_()

    page.route("**/gradio_api/queue/join*", look)
    return held


def let_go(page: Page, held: list[Any]) -> None:
    while not held:
        page.wait_for_timeout(20)
    waiting = held.copy()
    held.append("open")
    for route in waiting:
        route.continue_()


def test_what_was_changed_before_the_draft_came_back_stays(page: Page) -> None:
    """On a slow machine the remembered draft came after someone had begun to type, and wrote over it."""
    open_tab(page, "image")
    prompt_of(page, "image").fill("a star")
    number_of(page, "image-width").fill("256")
    number_of(page, "image-height").fill("256")
    generate(page, "image")
    held = hold(page, r'"draft"')
    page.reload()
    prompt_of(page, "image").fill("a moon")
    number_of(page, "image-width").fill("104")
    let_go(page, held)
    expect(number_of(page, "image-height")).to_have_value("256")
    expect(number_of(page, "image-width")).to_have_value("104")
    expect(prompt_of(page, "image")).to_have_value("a moon")


def test_what_was_changed_before_another_model_answered_stays(page: Page, studio: Any) -> None:
    open_tab(page, "image")
    held = hold(page, '"starter/image"')
    page.locator("#image-model input").click()
    page.get_by_role("option", name=studio.catalog.get("starter/image").title).click()
    number_of(page, "image-width").fill("104")
    let_go(page, held)
    expect(number_of(page, "image-height")).to_have_value("256")
    expect(number_of(page, "image-width")).to_have_value("104")


def test_a_model_picked_before_the_list_was_refreshed_stays(page: Page, studio: Any) -> None:
    """On a slow machine the answer came after the pick, and put the model of before back."""
    painter = studio.catalog.get("starter/image")
    open_tab(page, "image")
    expect(page.locator("#forecast-image")).to_contain_text(
        "Needs no room"
    )  # what a page asks at first is answered
    held = hold(page, r'"data":\["starter/illustrator"\]')
    page.evaluate("window.atelier.send('image', 'refresh', {})")
    page.locator("#image-model input").click()
    page.get_by_role("option", name=painter.title).click()
    expect(number_of(page, "image-width")).to_have_value("256")
    page.evaluate("() => { window.atelier.settled = () => { window.refreshed = true; }; }")
    let_go(page, held)
    page.wait_for_function("window.refreshed")
    expect(page.locator("#image-model input")).to_have_value(re.compile(painter.title))
    expect(number_of(page, "image-width")).to_have_value("256")


def test_a_field_to_blame_is_unfolded_and_says_why(page: Page) -> None:
    """The start image is gone from the library: told beside it though it lay in Advanced, and not by Gradio's own fields."""
    open_tab(page, "image")
    fill = {"model": "starter/image", "prompt": "a star", "width": 64, "height": 64, "init_image": "no-such"}
    page.evaluate("fill => window.atelier.send('image', 'fill', { fill })", fill)
    expect(prompt_of(page, "image")).to_have_value("a star")
    page.locator("#generate-image").click()
    expect(page.locator("#image-init-image .field-error")).to_be_visible()
    expect(page.locator("#pane-image .inputs .problem")).to_contain_text("no-such")


def test_a_job_that_cannot_be_repeated_says_why_and_keeps_saying_it(page: Page, studio: Any) -> None:
    open_tab(page, "image")
    prompt_of(page, "image").fill("a star")
    generate(page, "image")
    again = page.locator("#pane-image [data-act=again]")
    expect(again).to_be_visible()
    allowed = studio.submit

    def refuse(*request: Any, **options: Any) -> Any:
        from pipelines.errors import ModelUnavailable

        raise ModelUnavailable("The model went away.", hint="Pick another.")

    studio.submit = refuse
    try:
        again.click()
        told = page.locator("#pane-image .result .answer-line .problem")
        expect(told).to_contain_text("The model went away.")
        page.evaluate("window.atelier.send('image', 'refresh', {})")
        page.locator("[data-nav=models]").click()
        expect(page.locator("#models-list .card").first).to_be_visible()
        page.locator("nav [data-nav=image]").click()
        expect(told).to_contain_text("Pick another.")
    finally:
        studio.submit = allowed
    again.click()
    expect(told).to_have_count(0)


def test_a_double_click_makes_one_job(page: Page, studio: Any) -> None:
    before = len(studio.jobs(limit=500))
    open_tab(page, "image")
    prompt_of(page, "image").fill("a star in the night")
    page.locator("#generate-image").dblclick()
    expect(page.locator("#pane-image .picture img[data-asset]")).to_be_visible()
    page.locator(
        "#pane-image [data-act=again]"
    ).click()  # whatever the second click had sent would be there by now
    expect(page.locator("#bar-image .bar.over")).to_be_visible()
    expect(page.locator("#pane-image .picture img[data-asset]")).to_be_visible()
    assert len(studio.jobs(limit=500)) == before + 2


def test_each_picture_of_several_has_its_own_doings(page: Page, studio: Any) -> None:
    """One row of buttons once acted on the first, whichever was meant."""
    open_tab(page, "image")
    fill = {"prompt": "a lighthouse by the sea", "num_images": 3, "width": 64, "height": 64}
    page.evaluate("fill => window.atelier.send('image', 'fill', { fill })", fill)
    expect(prompt_of(page, "image")).to_have_value(fill["prompt"])
    generate(page, "image")
    third = page.get_by_role("group", name="Picture 3")
    expect(third.get_by_role("button", name="Open picture 3 in Library")).to_be_visible()
    shown = page.locator("#pane-image .picture img[data-asset]")
    expect(shown).to_have_count(3)
    ids = [shown.nth(place).get_attribute("data-asset") for place in range(3)]
    assert len(set(ids)) == 3
    loads = page.locator("#pane-image .tools a[download]")
    assert [ids[n] in (loads.nth(n).get_attribute("href") or "") for n in range(3)] == [True] * 3
    expect(page.locator("#pane-image .actions")).to_have_text("Again with a new seed")
    page.set_viewport_size({"width": 390, "height": 844})
    for tool in page.locator("#pane-image .tools .icon-button").all():
        box = tool.bounding_box()
        assert box is not None
        assert (box["width"] >= FINGER, box["height"] >= FINGER) == (True, True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    third.get_by_role("button", name="Send picture 3 to Video").focus()
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_attribute("data-tab", "video")
    page.locator("#pane-video .advanced button").first.click()
    expect(page.locator("#video-init-image img")).to_have_attribute("src", re.compile(str(ids[2])))


def test_a_second_job_is_told_as_waiting_without_a_reload(page: Page) -> None:
    open_tab(page, "video")
    prompt_of(page, "video").fill("a city skyline at night")
    number_of(page, "video-seconds").fill("8")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#bar-video .bar.running")).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#bar-video")).to_contain_text("1 more waiting")
    for _ in range(2):
        page.locator("#bar-video [data-act=cancel]").click()
        expect(page.locator("#bar-video")).not_to_contain_text("1 more waiting")
    expect(page.locator("#bar-video")).to_contain_text("Cancelled.")


AT_END = """() => {
  const box = document.querySelector('#chat .bubble-wrap');
  return box.scrollHeight > box.clientHeight + 200 && box.scrollHeight - box.scrollTop - box.clientHeight < 4;
}"""


def test_a_chat_follows_its_newest_words_and_lets_go(page: Page) -> None:
    page.set_viewport_size({"width": 1366, "height": 500})
    open_tab(page, "text")
    page.locator("#text-max-tokens input").fill("120")
    for turn in range(3):
        prompt_of(page, "text").fill(f"Write a slogan for a bakery\n\n\nand then one more\n\n\nnumber {turn}")
        generate(page, "text")
        expect(page.locator("#bar-text .bar.over")).to_be_visible()
        expect(page.locator("#chat .message-row.bot-row")).to_have_count(turn + 1)
    page.wait_for_function(AT_END)
    page.locator("#chat .bubble-wrap").hover()
    page.mouse.wheel(0, -4000)
    expect(page.locator("#chat-jump")).to_be_visible()
    prompt_of(page, "text").fill("And the last one")
    page.keyboard.press("Control+Enter")  # who sends looks at the end again
    page.wait_for_function(AT_END)
    expect(page.locator("#bar-text .bar.over")).to_be_visible()
    page.locator("#chat .bubble-wrap").hover()
    page.mouse.wheel(0, -4000)
    expect(page.locator("#chat-jump")).to_be_visible()
    page.locator("#pane-text [data-act=again]").click()  # new words come, and the place stays
    expect(page.locator("#bar-text .bar.running")).to_be_visible()
    expect(page.locator("#bar-text .bar.over")).to_be_visible()
    assert page.evaluate("document.querySelector('#chat .bubble-wrap').scrollTop") < 10
    page.locator("#chat-jump").click()
    page.wait_for_function(AT_END)
    expect(page.locator("#chat-jump")).to_be_hidden()


def test_a_sent_message_shows_at_once(page: Page, studio: Any) -> None:
    """Also while the server takes its time to answer."""
    open_tab(page, "text")
    prompt_of(page, "text").fill("Write a slogan for a ferry")
    held: list[Any] = []
    page.route(
        "**/gradio_api/queue/join*", lambda route: route.continue_() if "open" in held else held.append(route)
    )
    page.locator("#generate-text").click()
    expect(page.locator("#chat .sent-message")).to_have_text("Write a slogan for a ferry")
    expect(page.locator("#pane-text")).to_have_attribute("data-sending", "")
    waiting = held.copy()
    held.append("open")
    for route in waiting:
        route.continue_()
    expect(page.locator("#chat .user-row")).to_have_text(re.compile("Write a slogan for a ferry"))
    expect(page.locator("#chat .sent-message")).to_have_count(0)
    expect(page.locator("#bar-text .bar.over")).to_be_visible()


def test_the_bin_does_not_lie_over_the_first_message(page: Page) -> None:
    open_tab(page, "text")
    page.locator("#text-max-tokens input").fill("8")
    prompt_of(page, "text").fill("A message that is as wide as the whole of the chat " * 4)
    generate(page, "text")
    expect(page.locator("#bar-text .bar.over")).to_be_visible()
    bin_, first = (
        page.locator(part).first.bounding_box() for part in ("#chat .top-panel", "#chat .user-row .message")
    )
    assert bin_ is not None
    assert first is not None
    assert bin_["y"] + bin_["height"] <= first["y"] + 1


def test_the_bin_begins_a_new_chat(page: Page) -> None:
    """The line of the job that is gone stayed below the empty sheet."""
    open_tab(page, "text")
    page.locator("#text-max-tokens input").fill("8")
    prompt_of(page, "text").fill("A message")
    generate(page, "text")
    expect(page.locator("#bar-text .bar.over")).to_be_visible()
    page.locator("#chat .top-panel button").last.click()
    expect(page.locator("#bar-text .bar.over")).to_have_count(0)
    expect(page.locator("#chat .message")).to_have_count(0)
    page.reload()
    expect(prompt_of(page, "text")).to_be_visible()
    expect(page.locator("#chat .message")).to_have_count(0)


def test_fields_for_pictures_have_room_in_advanced(page: Page, studio: Any) -> None:
    """They once shrank to 36 pixels and lay over their neighbours."""
    made(studio, ImageRequest(prompt="a star", width=64, height=64))
    open_tab(page, "image")
    page.evaluate("window.atelier.send('image', 'fill', { fill: { model: 'starter/image' } })")
    page.locator("#pane-image .advanced button").first.click()
    for width in (1366, 390):
        page.set_viewport_size({"width": width, "height": 844})
        boxes = []
        for name in ("seed", "negative-prompt", "init-image", "mask-image", "strength"):
            field = page.locator(f"#image-{name}")
            expect(field).to_be_visible()
            boxes.append(field.bounding_box())
        for place, box in enumerate(boxes):
            assert box["width"] >= FINGER * 3
            for other in boxes[place + 1 :]:
                apart = (
                    box["x"] + box["width"] <= other["x"] + 1
                    or other["x"] + other["width"] <= box["x"] + 1
                    or box["y"] + box["height"] <= other["y"] + 1
                    or other["y"] + other["height"] <= box["y"] + 1
                )
                assert apart, (box, other)


def test_what_a_finger_slides_and_opens_is_large_enough_for_one(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("text", "image", "audio"):
        open_tab(page, tab)
        for slider in page.locator(f"#pane-{tab} input[type=range]").all():
            if slider.is_visible():
                assert (slider.bounding_box() or {})["height"] >= 24
        assert (page.locator(f"#pane-{tab} .advanced button").first.bounding_box() or {})["height"] >= FINGER


def test_what_was_pasted_survives_a_reload_at_once(page: Page) -> None:
    """Also when the page goes before it could tell anybody, and no old words come back after sending."""
    words = "a harbour\nat dusk"
    open_tab(page, "image")
    prompt_of(page, "image").fill(words)
    page.reload()
    expect(prompt_of(page, "image")).to_have_value(words)
    open_tab(page, "text")
    page.locator("#text-max-tokens input").fill("8")
    prompt_of(page, "text").fill("Write a slogan")
    generate(page, "text")
    expect(page.locator("#bar-text .bar.over")).to_be_visible()
    expect(prompt_of(page, "text")).to_have_value("")
    page.reload()
    expect(page.locator("#chat .user-row")).to_be_visible()
    expect(prompt_of(page, "text")).to_have_value("")


def test_a_voice_is_found_by_typing_its_language(page: Page) -> None:
    open_tab(page, "audio")
    voice = page.locator("#audio-voice input")
    assert ((voice.bounding_box() or {})["width"]) > 250
    voice.click()
    page.keyboard.type("german")
    page.get_by_role("option", name="German", exact=True).click()
    expect(voice).to_have_value("German")


def test_the_pages_own_scripts_are_there_before_gradio_begins(page: Page) -> None:
    """Gradio added them itself and did not wait: on a slow line or machine no answer was ever heard."""
    source = page.request.get("/").text()
    places = [source.index(f'src="theme/{name}.js') for name in SCRIPTS]
    assert places == sorted(places)
    assert places[-1] < source.index("window.gradio_config")
    tags = re.findall(r"<script[^>]*theme/[^>]*>", source)
    assert [("async" in tag, "defer" in tag, "nonce" in tag) for tag in tags] == [(False, False, True)] * len(
        SCRIPTS
    )
    page.goto("/")
    expect(page.locator("#bar-image")).to_be_visible()
    assert page.locator("script[src*='theme/']").count() == len(SCRIPTS)


def test_an_empty_chat_is_one_sheet_like_the_other_tabs(page: Page) -> None:
    """Gradio's own box around it once showed: a dashed frame in a grey one, narrow, or with empty space about it."""
    for width, height in ((1366, 768), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        open_tab(page, "text")
        expect(page.locator("#chat .empty")).to_be_visible()
        boxes = [page.locator(place).bounding_box() for place in ("#chat", "#chat .empty")]
        assert boxes[0] == boxes[1]


def test_on_a_phone_the_number_beside_a_slider_is_large_enough_for_a_finger(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_tab(page, "audio")
    box = page.locator("#audio-speed input[type=number]").bounding_box()
    assert box is not None
    assert box["height"] >= FINGER

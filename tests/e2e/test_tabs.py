"""Each tab as a person uses it: type, generate, reload in the middle, see the result, find it in the library."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pipelines.messages import AudioRequest, ImageRequest

pytestmark = pytest.mark.browser


def open_tab(page: Page, name: str) -> None:
    page.goto(f"/#{name}")
    expect(page.locator(f"#generate-{name}, #{name}-grid, #{name}-list").first).to_be_visible()


def prompt_of(page: Page, name: str) -> Any:
    return page.locator(f"#{name}-prompt textarea")


def generate(page: Page, name: str) -> None:
    """Press Ctrl+Enter, and wait until the job bar says that something is under way or over."""
    page.keyboard.press("Control+Enter")
    expect(page.locator(f"#bar-{name} .bar.running, #bar-{name} .bar.over").first).to_be_visible()


def find_in_library(page: Page, words: str) -> None:
    """Search for the prompt; its tile shows a thumbnail, and opening it shows the recipe."""
    page.locator("[data-nav=library]").click()
    page.locator("#library-search input, #library-search textarea").fill(words)
    tile = page.locator("#library-grid .tile").first
    expect(tile.locator("img")).to_have_attribute("alt", re.compile(re.escape(words.split()[0])))
    expect(page.locator("#library-grid .tile")).to_have_count(1)
    tile.click()
    expect(page.locator("#library-detail .prompt")).to_contain_text(words.split()[0])
    expect(page.locator("#library-detail .recipe")).to_contain_text("seed")


def made(studio: Any, request: Any) -> Any:
    """The first asset of that request, made without the page."""
    job = studio.submit(request)
    for _ in range(1200):
        if studio.job(job.id).is_over:
            break
        time.sleep(0.1)
    assert studio.job(job.id).status == "completed", studio.job(job.id).problem
    return studio.library.get(studio.job(job.id).asset_ids[0])


def picture(studio: Any) -> Any:
    return made(studio, ImageRequest(prompt="a sun over hills", seed=7, num_inference_steps=2))


def test_a_picture_is_made_though_the_page_is_reloaded_midway(page: Page, studio: Any) -> None:
    words = "mountains in winter at night"
    open_tab(page, "image")
    prompt_of(page, "image").fill(words)
    generate(page, "image")
    page.reload()
    expect(prompt_of(page, "image")).to_have_value(words)
    picture = page.locator("#pane-image .picture img[data-asset]")
    expect(picture).to_be_visible()
    expect(picture).to_have_attribute("alt", words)
    width = studio.catalog.default("image").defaults["width"]
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == width
    expect(page.locator("#pane-image .facts")).to_contain_text("seed")
    find_in_library(page, words)


def test_a_script_is_spoken_with_its_words_in_time(page: Page) -> None:
    words = "Harbour lights tonight."
    open_tab(page, "audio")
    prompt_of(page, "audio").fill(words)
    generate(page, "audio")
    page.reload()
    sound = page.locator("#pane-audio audio")
    expect(sound).to_be_visible()
    expect(page.locator("#pane-audio .word")).to_have_text(["Harbour", "lights", "tonight."])
    assert sound.evaluate(
        "sound => new Promise(go => { const look = () => sound.duration > 0.5 ? go(true) : setTimeout(look, 50); look(); })"
    )
    find_in_library(page, words.rstrip("."))


def test_a_clip_is_made_and_plays(page: Page) -> None:
    words = "a pine forest in autumn"
    open_tab(page, "video")
    prompt_of(page, "video").fill(words)
    page.locator("#video-seconds input").fill("0.5")
    generate(page, "video")
    page.reload()
    expect(page.locator("#video-seconds input")).to_have_value("0.5")
    clip = page.locator("#pane-video .screen video")
    expect(clip).to_be_visible(timeout=120_000)
    find_in_library(page, words)


def test_an_answer_is_written_and_the_chat_goes_on(page: Page) -> None:
    words = "Write a slogan for a bakery called Larkspur"
    open_tab(page, "text")
    prompt_of(page, "text").fill(words)
    page.locator("#text-max-tokens input").fill("24")
    generate(page, "text")
    page.reload()
    expect(page.locator("#chat")).to_contain_text(words)
    expect(page.locator("#pane-text [data-act=again]")).to_be_visible()
    expect(prompt_of(page, "text")).to_have_value("")
    prompt_of(page, "text").fill("And a shorter one")
    generate(page, "text")
    expect(page.locator("#chat")).to_contain_text("And a shorter one")
    expect(page.locator("#chat")).to_contain_text(words)
    find_in_library(page, words)


def test_code_is_written(page: Page) -> None:
    words = "A function that reverses a list"
    open_tab(page, "code")
    prompt_of(page, "code").fill(words)
    page.locator("#code-max-tokens input").fill("24")
    generate(page, "code")
    page.reload()
    expect(page.locator("#code-result")).to_be_visible()
    expect(page.locator("#pane-code [data-act=again]")).to_be_visible()
    find_in_library(page, words)


def test_escape_stops_the_job_and_the_recipe_can_be_tried_again(page: Page) -> None:
    open_tab(page, "video")
    page.locator("#video-seconds input").first.fill("120")  # long enough to be stopped on any machine
    prompt_of(page, "video").fill("a city skyline at night")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#bar-video [data-act=cancel]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#bar-video")).to_contain_text("Cancelled.")
    expect(page.locator("#bar-video [data-act=retry]")).to_be_visible()


def test_what_is_wrong_is_said_beside_the_field(page: Page, studio: Any) -> None:
    before = len(studio.jobs())
    open_tab(page, "image")
    page.locator("#generate-image").click()
    expect(page.locator("#image-prompt")).to_contain_text("The prompt is empty.")
    prompt_of(page, "image").fill("a star")
    page.locator("#image-width input").fill("100")
    page.locator("#generate-image").click()
    expect(page.locator("#image-width")).to_contain_text("100 is not a multiple of 8: use 96 or 104.")
    assert len(studio.jobs()) == before


def test_what_a_picture_would_take_is_told_before_it_is_made(page: Page, studio: Any) -> None:
    paint = ImageRequest(prompt="a sun over hills", model="starter/image", seed=7, num_inference_steps=2)
    for _ in range(3):  # teaches how long one takes, whatever the first had to load
        made(studio, paint)
    open_tab(page, "image")
    told = page.locator("#forecast-image")
    expect(told).to_contain_text("Needs no room on the device")  # the model chosen at first is a program
    page.evaluate(
        "window.atelier.send('image', 'fill', { fill: { model: 'starter/image', width: 64, height: 64 } })"
    )
    expect(told).to_contain_text(re.compile(r"Fits.+[MG]B of .+GB.+about \d+ s"))
    page.locator("#image-width input").fill("100")  # not a size
    expect(told).to_have_text("")
    page.locator("#image-width input").fill("128")
    expect(told).to_contain_text("Fits")


def test_a_model_picked_by_hand_brings_its_own_settings(page: Page, studio: Any) -> None:
    """Fields that nobody touched follow the model; its first example can be made as it stands."""
    painter = studio.catalog.get("starter/image")
    open_tab(page, "image")
    expect(page.locator("#image-width input")).to_have_value("512")
    page.locator("#image-model input").click()
    page.get_by_role("option", name=painter.title).click()
    expect(page.locator("#image-width input")).to_have_value(str(painter.defaults["width"]))
    page.get_by_role("button", name=painter.examples[0]).locator("visible=true").first.click()
    expect(prompt_of(page, "image")).to_have_value(painter.examples[0])
    generate(page, "image")
    expect(page.locator("#pane-image .picture img[data-asset]")).to_be_visible()
    expect(page.locator("#image-width input")).to_have_value(str(painter.defaults["width"]))


def test_a_model_in_memory_is_shown_pinned_and_let_go(page: Page, studio: Any) -> None:
    made(studio, ImageRequest(prompt="a sun over hills", model="starter/image", num_inference_steps=2))
    page.goto("/#models")
    painter = page.locator("#models-device .resident").filter(has_text="Starter painter")
    expect(painter).to_contain_text("Resident")
    painter.get_by_role("button", name="Pin", exact=True).click()
    expect(painter).to_contain_text("Pinned")
    painter.get_by_role("button", name="Unpin").click()
    expect(painter).not_to_contain_text("Pinned")
    painter.get_by_role("button", name="Unload").click()
    expect(painter).to_have_count(0)
    expect(page.locator("#models-device .decisions li").first).to_contain_text("Starter painter")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_open_models_tab_shows_what_memory_holds_and_asks_for_nothing_meanwhile(
    page: Page, studio: Any
) -> None:
    """It looks when the studio tells that something moved. The browser's clock is ours: a second is as long as we like."""
    studio.unload()  # what earlier tests left
    page.clock.install()
    page.goto("/#models")
    expect(page.locator("#models-device")).to_contain_text("No model is in memory")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(10):  # it asks once a minute how long ago things were, and when free memory moved
        page.clock.run_for(5_000)
        page.wait_for_timeout(200)  # Gradio drops what is asked before the last answer came
    assert sum("queue/join" in one for one in asked) <= 8, asked  # not 25, as with a look every two seconds
    made(studio, ImageRequest(prompt="a sun over hills", model="starter/image", num_inference_steps=2))
    expect(page.locator("#models-device .resident").filter(has_text="Starter painter")).to_contain_text(
        "Resident"
    )
    studio.unload()


def test_prompt_result_and_button_are_in_view_without_scrolling(page: Page) -> None:
    for name in ("text", "code", "image", "audio", "video"):
        open_tab(page, name)
        for part in (f"#{name}-prompt", f"#generate-{name}", f"#pane-{name} .result"):
            box = page.locator(part).bounding_box()
            assert box is not None
            assert box["y"] >= 0, part
            assert box["y"] + min(box["height"], 200) <= 768, part


def test_on_a_phone_the_result_comes_first_and_nothing_is_wider_than_the_screen(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_tab(page, "image")
    result, prompt = (page.locator(part).bounding_box() for part in ("#pane-image .result", "#image-prompt"))
    assert result is not None
    assert prompt is not None
    assert result["y"] < prompt["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_theme_follows_the_system_until_someone_chooses(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    open_tab(page, "image")
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    page.locator("[data-toggle-theme]").click()
    page.reload()
    expect(page.locator("body")).not_to_have_class(re.compile(r"\bdark\b"))


def test_settings_return_from_a_file_made_here(page: Page, studio: Any) -> None:
    """Whatever the page forgets, the file still knows."""
    asset = picture(studio)
    page.goto("/#library")
    page.locator("#library-grid input[data-restore]").set_input_files(studio.library.where(asset))
    expect(page.locator("body")).to_have_attribute("data-tab", "image")
    expect(prompt_of(page, "image")).to_have_value(asset.prompt)
    page.locator("#pane-image .advanced button").first.click()
    expect(page.locator("#image-seed input")).to_have_value("7")


def test_pasted_words_are_kept_over_a_reload(page: Page) -> None:
    """Gradio's text boxes tell of key presses only: what came in one go was forgotten."""
    open_tab(page, "image")
    held = "localStorage.getItem('atelier-draft-image')"
    before = page.evaluate(held)
    prompt_of(page, "image").fill("words in one go")  # one input event and no key press, as a paste is
    page.wait_for_function(f"before => {held} !== before", arg=before)
    page.reload()
    expect(prompt_of(page, "image")).to_have_value("words in one go")


def test_settings_of_another_program_replace_the_form_and_what_is_lost_is_listed(page: Page) -> None:
    """What stood there before — a negative prompt, a count — went into the picture that was to be made again."""
    open_tab(page, "image")
    page.locator("#pane-image .advanced button").first.click()
    page.locator("#image-negative-prompt textarea").fill("something old")
    page.locator("[data-nav=library]").click()
    written = (
        "a pine forest\nSteps: 9, Sampler: Euler a, CFG scale: 4, Seed: 11, Size: 256x256, Model: dreamer"
    )
    file = {"name": "settings.txt", "mimeType": "text/plain", "buffer": written.encode()}
    page.locator("#library-grid input[data-restore]").set_input_files(file)
    expect(page.locator("body")).to_have_attribute("data-tab", "image")
    expect(prompt_of(page, "image")).to_have_value("a pine forest")
    expect(page.locator("#image-negative-prompt textarea")).to_have_value("")
    expect(page.locator("#image-seed input")).to_have_value("11")
    told = page.locator("#restored-image")
    expect(told).to_contain_text("the model dreamer, which is not on this machine")
    told.get_by_role("button", name="Remix").click()
    expect(page.locator("#image-seed input")).to_have_value("-1")
    expect(told).to_contain_text("Not taken over")


def test_remix_is_the_first_thing_offered_and_changes_the_seed_alone(page: Page, studio: Any) -> None:
    asset = picture(studio)
    page.goto("/#library")
    page.locator(f"#library-grid .tile[data-asset='{asset.id}']").click()
    doings = page.locator("#library-detail .actions").first
    expect(doings.locator("button").first).to_have_text("Remix")
    doings.get_by_role("button", name="Remix").click()
    expect(prompt_of(page, "image")).to_have_value(asset.prompt)
    page.locator("#pane-image .advanced button").first.click()
    expect(page.locator("#image-seed input")).to_have_value("-1")
    page.go_back()
    page.locator("#library-detail").get_by_role("button", name="Exactly again").click()
    expect(page.locator("#image-seed input")).to_have_value("7")


def test_a_picture_goes_on_as_the_start_of_another_tab(page: Page, studio: Any) -> None:
    asset = picture(studio)
    page.goto("/#library")
    page.locator(f"#library-grid .tile[data-asset='{asset.id}']").click()
    page.locator("#library-detail").get_by_role("button", name="To Video").click()
    expect(page.locator("body")).to_have_attribute("data-tab", "video")
    expect(prompt_of(page, "video")).to_have_value(asset.prompt)
    page.locator("#pane-video .advanced button").first.click()
    start = page.locator("#video-init-image")
    expect(start.locator("img")).to_have_attribute("src", re.compile(asset.id))
    page.reload()
    page.locator("#pane-video .advanced button").first.click()
    expect(start.locator("img")).to_have_attribute("src", re.compile(asset.id))
    start.get_by_role("button", name="Remove").click()
    expect(start).to_contain_text("Drop a picture here")


def test_a_star_a_tag_and_the_trash_keep_the_shelf_in_order(page: Page, studio: Any) -> None:
    asset = made(studio, AudioRequest(prompt="To be put away."))
    page.goto("/#library")
    page.locator(f"#library-grid .tile[data-asset='{asset.id}']").click()
    detail = page.locator("#library-detail")
    detail.get_by_role("button", name="Star", exact=True).click()
    expect(detail.get_by_role("button", name="Starred")).to_be_visible()
    detail.get_by_label("Tags").fill("harbour, draft")
    detail.get_by_label("Tags").press("Enter")
    detail.get_by_role("button", name="Trash").click()
    expect(page.locator(f"#library-grid .tile[data-asset='{asset.id}']")).to_have_count(0)
    kept = studio.library.get(asset.id)
    assert (kept.starred, kept.tags, kept.trashed_at is not None) == (True, ("draft", "harbour"), True)


def test_a_field_for_a_picture_refuses_a_text_and_shows_a_tiff(
    page: Page, studio: Any, tmp_path: Path
) -> None:
    """It took whatever was dropped on it, and the job failed later; a TIFF was a broken picture in the library."""
    from PIL import Image

    written, scan = tmp_path / "notes.txt", tmp_path / "scan of a letter.tif"
    written.write_text("not a picture")
    Image.new("RGB", (90, 60), (200, 180, 90)).save(scan)
    page.goto("/#library")
    page.locator(f"#library-grid .tile[data-asset='{picture(studio).id}']").click()
    page.locator("#library-detail").get_by_role("button", name="To Video").click()
    page.locator("#pane-video .advanced button").first.click()
    field = page.locator("#video-init-image")
    field.get_by_role("button", name="Remove").click()
    field.locator("input[type=file]").set_input_files(written)
    expect(page.locator(".toast")).to_contain_text("notes.txt is text, and this field takes a picture")
    field.locator("input[type=file]").set_input_files(scan)
    expect(field.locator(".asset-held img")).to_have_js_property("naturalWidth", 90)
    page.locator("[data-nav=library]").click()
    page.locator("#library-search input, #library-search textarea").fill("scan of a letter")
    expect(page.locator("#library-grid .tile")).to_have_count(1)
    page.locator("#library-grid .tile").first.click()
    expect(page.locator("#library-detail .media img")).to_have_js_property("naturalWidth", 90)

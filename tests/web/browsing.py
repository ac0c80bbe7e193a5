"""What a user does in the browser, for the tests of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.web.conftest import Site


def opened(driver: Any, site: Site, path: str = "/") -> None:
    driver.get(f"http://127.0.0.1:{site.port}{path}")
    driver.get_log("browser")
    until(driver, "return document.documentElement.dataset.ready === 'yes'")


def until(driver: Any, script: str) -> Any:
    """What a script returns, once that is something."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 30).until(lambda one: one.execute_script(script))


def find(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def press(driver: Any, selector: str) -> None:
    """Click on what is there now: the page may have drawn it anew since it was looked for."""
    until(driver, f"return document.querySelector({selector!r})")
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def upload(driver: Any, path: Any) -> None:
    find(driver, "#files").send_keys(str(path))


def texts(driver: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    return driver.execute_script(script, selector)


def enrol_both(driver: Any, two: Any) -> None:
    """Drop a photo, and name its faces one after the other."""
    upload(driver, two)
    for number, name in ((1, "Ann"), (2, "Ben")):
        until(driver, f"return document.querySelector('.face[data-face=\"{number}\"] form')")
        find(driver, f'.face[data-face="{number}"] input').send_keys(name + "\n")
        until(driver, f"return document.querySelector('.face[data-face=\"{number}\"] .note.good')")


def typed(driver: Any, *keys: str) -> None:
    """Keys for whatever has the focus, as of somebody without a mouse."""
    for one in keys:
        driver.switch_to.active_element.send_keys(one)

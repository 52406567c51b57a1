"""What somebody does with the page in a browser: browse.py SCENARIO ARGUMENTS..

Each scenario ends with 0 and may print JSON, or says what is wrong. Chromium is driven through its own driver."""

import json
import shutil
import sys
import time

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

LIMIT = 60


class Page:
    """The page at an address, once it has drawn itself."""

    def __init__(self, address, width=1400, height=900):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]:
            options.add_argument(word)
        options.add_argument(f"--window-size={width},{height}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.address = address
        self.driver.get(address)
        self.until("window.combu && window.combu.ready", "the page is drawn")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def run(self, code, *args):
        return self.driver.execute_script(code, *args)

    def until(self, condition, what):
        """Waits until an expression of the page is true."""
        try:
            WebDriverWait(self.driver, LIMIT, poll_frequency=0.05).until(lambda _: self.run(f"return {condition}"))
        except Exception as error:
            logs = self.driver.get_log("browser")
            raise SystemExit(f"not within {LIMIT} s: {what}: {condition}\n{logs}") from error

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def show(self, selector):
        self.run("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))

    def column(self, name, count=8):
        """The texts of a column in the first rows of the table."""
        return self.run(
            """const place = [...document.querySelectorAll('#table th[data-column]')]
                 .findIndex((head) => head.dataset.column === arguments[0]);
               const rows = [...document.querySelectorAll('#table tr[data-key]')].slice(0, arguments[1]);
               return rows.map((row) => row.children[place].textContent.trim())""", name, count)

    def filter(self, text):
        box = self.find("#filter")
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(Keys.DELETE)
        if text:
            box.send_keys(text)

    def count(self):
        return self.find("#filter-count").text

    def asked_elsewhere(self):
        """Addresses that the browser asked for beside the page's own."""
        own = self.address.split("?")[0].rsplit("/", 1)[0]
        asked = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith((own, "data:", "blob:", "about:", "chrome")):
                    asked.append(url)
        return asked

    def problems(self):
        """What the browser complains of."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def holds(self):
        """What is true of every page."""
        say(not self.asked_elsewhere(), f"the page asks elsewhere: {self.asked_elsewhere()}")
        say(not self.problems(), f"the browser complains: {self.problems()}")
        wide = self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        say(wide <= 0, f"the page is {wide} pixels wider than the window")


def say(truth, problem):
    if not truth:
        raise SystemExit(problem)


def hostile(page):
    """Text of trials has become no markup, and has run nothing."""
    say(page.run("return window.hacked === undefined"), "a text of a trial has run")
    found = page.run("return document.querySelectorAll('main img, main script, main iframe, [onerror], [onload]').length")
    say(found == 0, f"a text of a trial has become {found} elements")


def look(address):
    """A report of 54 trials: sort, filter, brush, hover, keyboard, narrow and dark."""
    with Page(address) as page:
        sections = page.run("return [...document.querySelectorAll('main section')].map((section) => section.id)")
        for id in ["summary", "table", "curves", "parallel", "scatter", "pivot", "importance", "timeline", "failures",
                   "provenance"]:
            say(id in sections, f"there is no section {id}: {sections}")
        # The goal's best is first; a heading sorts, and sorts the other way.
        best = [float(text) for text in page.column("loss") if text]
        say(best == sorted(best), f"the best are not first: {best}")
        for turn in (False, True):
            page.find('#table th[data-column="lr"] button').click()
            page.until("window.combu.ready", "the table is sorted")
            rates = [float(text) for text in page.column("lr")]
            say(rates == sorted(rates, reverse=turn), f"not sorted by lr: {rates}")
        # The filter takes an expression, says what is wrong with one, and takes words.
        page.filter("params.width == 32 && params.lr > 0.005")
        page.until("document.querySelector('#filter-count').textContent.startsWith('12 of 54')", "the filter counts")
        page.filter("statsu == \"failed\"")
        page.until("!document.querySelector('#filter-error').hidden", "the mistake is told")
        say("status" in page.find("#filter-error").text, page.find("#filter-error").text)
        page.filter("")
        page.until("document.querySelector('#filter-count').textContent.startsWith('54')", "the filter is empty")
        # What is marked in a plot filters everything, and can be taken back.
        page.show("#failures")
        page.until("document.querySelector('#failures button') !== null", "the failures are drawn")
        page.find("#failures button").click()
        page.until("window.combu.data.filtered.length < 54", "a group of failures is marked")
        page.show("#table")
        page.until("[...document.querySelectorAll('#table tr[data-key]')].every((row) => row.textContent.includes('failed'))",
                   "the table shows the marked and no others")
        page.find("#chips button").click()
        page.until("window.combu.data.filtered.length === 54", "the mark is taken back")
        # A curve tells of its trial where the pointer is.
        page.show("#curves")
        page.until("document.querySelector('#curves canvas') !== null && window.combu.ready", "the curves are drawn")
        canvas = page.find("#curves canvas")
        page.run("window.scrollBy(0, 0)")
        told = None
        for place in range(-4, 5):
            ActionChains(page.driver).move_to_element_with_offset(canvas, 0, place * canvas.size["height"] // 12).perform()
            told = page.run("const box = document.querySelector('.tooltip'); return box && !box.hidden && box.textContent")
            if told:
                break
        say(told and "loss" in told, f"no curve tells of its trial: {told}")
        # The keyboard leads to the filter and back.
        page.find("body").send_keys("/")
        page.until("document.activeElement.id === 'filter'", "`/` leads to the filter")
        page.find("#filter").send_keys("nothing like this", Keys.ESCAPE)
        page.until("document.querySelector('#filter').value === ''", "Escape clears the filter")
        hostile(page)
        page.holds()
    with Page(address, 400, 800) as page:
        page.holds()


def rows(address, path):
    """The trials that each expression of a file keeps, as JSON; `null` where the page refuses it."""
    with Page(address) as page:
        expressions = [line for line in open(path, encoding="utf-8").read().split("\n") if line]
        kept = page.run(
            """return arguments[0].map((text) => {
                 try { return window.combu.matches(text).map((key) => key.slice(key.indexOf('/') + 1)) }
                 catch (error) { return null }
               })""", expressions)
        print(json.dumps(kept))


def large(address):
    """10,000 trials and 1,000 curves are drawn, sorted and filtered soon enough. Prints what it took."""
    began = time.time()
    with Page(address) as page:
        ready = page.run("return performance.now()")
        took = page.run(
            """const began = performance.now();
               document.querySelector('#table th[data-column="lr"] button').click();
               document.querySelector('#table').getBoundingClientRect();
               return performance.now() - began""")
        page.until("window.combu.ready", "the table is sorted")
        page.filter("params.lr > 0.01 && metrics.loss < 2")
        page.until("/ of 10.000/.test(document.querySelector('#filter-count').textContent)", "the filter counts")
        loaded = page.run("return performance.getEntriesByType('navigation')[0].domInteractive")
        print(json.dumps({"interactive_ms": loaded, "ready_ms": ready, "sort_ms": took, "wall_s": time.time() - began}))
        page.holds()


def live(address, first):
    """A run that goes on: what is new comes by itself, and what the page is allowed to do it does after asking twice.

    Stops the trial `first`, retries it, and stops the run."""
    with Page(address) as page:
        state = f"window.combu.data.trials.find((trial) => trial.name === '{first}')"
        page.until(f"{state}?.status === 'running'", "the trial runs")
        values = page.run("return [...window.combu.data.curves.values()].length")
        page.until(f"[...window.combu.data.curves.values()].some((all) => all.loss?.value.length > {values + 3})",
                   "new values come by themselves")
        say("live" in page.find(".live").text, page.find(".live").text)

        def order(where, word):
            page.run("arguments[0].click()", page.driver.find_element(
                By.XPATH, f"{where}//button[normalize-space()='{word}']"))
            page.until("document.querySelector('#confirm').open", "it asks again")
            page.run("arguments[0].click()", page.driver.find_element(
                By.XPATH, f"//*[@id='confirm']//button[normalize-space()='{word}']"))
            page.until("/ok|problem/.test(document.querySelector('#confirm .answer').className)", "the run answers")
            say("ok" in page.find("#confirm .answer").get_attribute("class"), page.find("#confirm .answer").text)
            page.run("document.querySelector('#confirm').close()")

        def details():
            page.run("""const row = [...document.querySelectorAll('#table tr[data-key]')]
                          .find((row) => row.dataset.key.endsWith('/' + arguments[0]));
                        row.focus(); row.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))""", first)
            page.until("document.querySelector('#details').open", "the details are open")

        details()
        order("//*[@id='details']", "Stop")
        page.until(f"{state}.status === 'killed'", "the trial is stopped")
        page.run("document.querySelector('#details').close()")
        details()
        order("//*[@id='details']", "Retry")
        page.until(f"{state}.attempts === 2 && {state}.status === 'running'", "the trial runs again")
        page.run("document.querySelector('#details').close()")
        order("//*[contains(@class, 'controls')]", "Kill now")
        page.until("window.combu.data.runs[0].state === 'interrupted'", "the run is stopped")
        page.holds()


def looks_only(address):
    """A page that may do nothing shows no button that does."""
    with Page(address) as page:
        page.until("window.combu.data.trials.length > 0", "the trials are there")
        say(not page.driver.find_elements(By.CSS_SELECTOR, ".controls, .control"), "there is a button that does something")
        page.holds()


def shots(address, folder):
    """Pictures of the page and of each section: wide and narrow, light and dark."""
    for width in (1400, 400):
        for scheme in ("light", "dark"):
            with Page(address, width, 1000) as page:
                page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                    "features": [{"name": "prefers-color-scheme", "value": scheme}]})
                for id in page.run("return [...document.querySelectorAll('main section')].map((section) => section.id)"):
                    page.show(f"#{id}")
                    page.until("window.combu.ready", f"{id} is drawn")
                    page.find(f"#{id}").screenshot(f"{folder}/{id}-{width}-{scheme}.png")
                page.run("window.scrollTo(0, 0)")
                page.driver.save_screenshot(f"{folder}/page-{width}-{scheme}.png")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

package io.millrace.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The page in a real browser. Skipped where there is no chromium. */
@Tag("slow")
class BrowserTest {

  private static final Path CHROMIUM = Path.of("/usr/bin/chromium");
  private static final String PROBE = "<img src=x onerror=\"document.title='hacked'\">";

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static Playwright playwright;
  private static Browser browser;

  @BeforeAll
  static void start() throws Exception {
    assumeTrue(Files.isExecutable(CHROMIUM), "there is no " + CHROMIUM);
    broker = EmbeddedBroker.start(directory.resolve("broker"), 0);
    playwright =
        Playwright.create(
            new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
    browser =
        playwright
            .chromium()
            .launch(
                new BrowserType.LaunchOptions()
                    .setExecutablePath(CHROMIUM)
                    .setArgs(List.of("--no-sandbox")));
  }

  @AfterAll
  static void stop() throws Exception {
    if (broker != null) {
      browser.close();
      playwright.close();
      broker.close();
    }
  }

  private static KafkaSettings topics(String name) throws Exception {
    KafkaSettings kafka = new KafkaSettings(broker.bootstrapServers(), name + ".", Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
    return kafka;
  }

  /** A page that reports its errors, those of the content security policy among them. */
  private static Page open(BrowserContext context, List<String> errors, String address) {
    Page page = context.newPage();
    page.onPageError(errors::add);
    page.onConsoleMessage(
        message -> {
          if (message.type().equals("error")) {
            errors.add(message.text());
          }
        });
    page.navigate(address);
    return page;
  }

  private static void task(Page page) {
    Locator look = page.getByText("Look again");
    Locator submit = page.locator("#submit");
    submit.or(look).first().waitFor();
    while (look.isVisible()) {
      page.keyboard().press("n");
      page.waitForTimeout(100);
    }
    submit.waitFor();
  }

  @Test
  void tenTasksByKeyboardAloneWithAReloadAndAnUndo() throws Exception {
    KafkaSettings kafka = topics("keyboard");
    Rollouts.sendPairs(kafka, "p", 10);
    List<String> errors = new ArrayList<>();
    try (RunningConsole console = RunningConsole.open(kafka);
        BrowserContext context = browser.newContext()) {
      Page page = open(context, errors, console.address());
      for (int i = 0; i < 10; i++) {
        task(page);
        String left = page.getByLabel("Left response", exact()).first().innerText();
        page.keyboard().press(Integer.toString(1 + i % 8));
        if (i == 4) {
          page.reload();
          task(page);
          assertEquals(left, page.getByLabel("Left response", exact()).first().innerText());
          assertEquals(
              "true",
              page.locator("#degree-5").getAttribute("aria-pressed"),
              "the draft survives a reload");
        }
        page.keyboard().press("Enter");
        page.getByText((i + 1) + " judged,").waitFor();
      }
      List<Judgment> judgments = Rollouts.read(kafka, Topic.JUDGMENTS);
      assertEquals(10, judgments.size());
      assertEquals(10, judgments.stream().map(Judgment::getJudgmentId).distinct().count());
      // The last one was key 2.
      assertEquals(Preferred.A, judgments.getLast().getPreferred());
      page.keyboard().press("u");
      page.getByText("Store the revision").waitFor();
      page.keyboard().press("7");
      page.keyboard().press("Enter");
      page.getByText("Look again").waitFor();
      Judgment revised = Rollouts.read(kafka, Topic.JUDGMENTS).getLast();
      assertEquals(Preferred.B, revised.getPreferred());
      assertEquals(1, revised.getRevision());
      assertEquals(List.of(), errors);
    }
  }

  private static Page.GetByLabelOptions exact() {
    return new Page.GetByLabelOptions().setExact(true);
  }

  @Test
  void hostileTextStaysTextAndPhonesNeedNoSidewaysScrolling() throws Exception {
    KafkaSettings kafka = topics("hostile");
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.ROLLOUTS, Rollouts.rollout("x", 0, PROBE, PROBE + " 1", 1));
      writer.send(Topic.ROLLOUTS, Rollouts.rollout("x", 1, PROBE, PROBE + " 2", 1));
      for (int step = 1; step <= 40; step++) {
        writer.send(
            Topic.TRAINING_METRICS,
            new TrainingMetrics(
                PROBE, (long) step, Map.of("kl " + PROBE, 0.1 * step), Instant.now()));
      }
      writer.send(
          Topic.DEAD_LETTERS,
          DeadLetter.newBuilder()
              .setTopic("hostile.prompts")
              .setPartition(0)
              .setOffset(7)
              .setValue(ByteBuffer.wrap(PROBE.getBytes(StandardCharsets.UTF_8)))
              .setJob("rollout")
              .setReason(PROBE)
              .setMessage(PROBE)
              .setTime(Instant.now())
              .build());
    }
    List<String> errors = new ArrayList<>();
    try (RunningConsole console = RunningConsole.open(kafka);
        BrowserContext context =
            browser.newContext(
                new Browser.NewContextOptions()
                    .setViewportSize(360, 720)
                    .setColorScheme(ColorScheme.DARK))) {
      Page page = open(context, errors, console.address());
      task(page);
      assertEquals(2, page.locator(".pair .text").count());
      assertTrue(page.locator(".pair .text").first().innerText().contains("onerror"));
      assertNoSidewaysScrolling(page);
      page.navigate(console.address() + "/#watch");
      page.locator(".chart canvas").first().waitFor();
      page.getByRole(AriaRole.BUTTON, new Page.GetByRoleOptions().setName("Search")).click();
      Locator show = page.getByText("Show me the record");
      show.first().waitFor();
      show.first().click();
      page.locator("pre:focus").waitFor();
      assertTrue(page.locator("pre").innerText().contains("onerror"));
      assertNoSidewaysScrolling(page);
      assertEquals(0, page.locator("main img").count());
      assertFalse(page.title().contains("hacked"));
      assertEquals(List.of(), errors);
    }
  }

  private static void assertNoSidewaysScrolling(Page page) {
    assertEquals(
        true,
        page.evaluate("document.documentElement.scrollWidth <= innerWidth"),
        page.evaluate("document.documentElement.scrollWidth") + " px");
  }
}

package io.millrace.jobs.config;

import java.time.Duration;

/** What counts as the same record sent twice. */
public record DedupSection(
    @Option(
            value = "1d",
            help =
                "A judgment, prompt or rollout whose id came within this time before, by Kafka's"
                    + " timestamps, is dropped and counted; 0s turns it off. State grows by some"
                    + " 200 bytes for each id of the window.")
        Duration window)
    implements ConfigSection {}

package io.millrace.jobs.config;

import java.time.Duration;

/** Removal of duplicate records. */
public record DedupSection(
    @Option(
            value = "1d",
            help =
                "Drops and counts a judgment, prompt or rollout whose id was seen within this time"
                    + " by Kafka's timestamps; 0s turns it off. Each id in the window takes about"
                    + " 200 bytes of state.",
            min = "0ms",
            max = "365d")
        Duration window)
    implements ConfigSection {}

package io.millrace.serve.follow;

/** Where a served model comes from. */
public sealed interface ModelSource {

  /** The versions announced in {@code policy-checkpoints}. */
  record Latest(String model) implements ModelSource {}

  /** The version that the last verdict in {@code promotions} says to serve. */
  record Promoted(String model) implements ModelSource {}

  /** A directory or URI of a checkpoint, such as that of a pinned version. */
  record Fixed(String location) implements ModelSource {}

  /** Whether it follows announcements in Kafka. */
  default boolean follows() {
    return !(this instanceof Fixed);
  }
}

package io.millrace.jobs.runtime;

/** Names of the parameters that a job carries in Flink, for the commands that find it there. */
public final class JobParameters {

  /** The job's name on the command line. */
  public static final String JOB = "millrace.job";

  /** Directory of the run: of its Flink checkpoints. */
  public static final String RUN = "millrace.run";

  public static final String BOOTSTRAP_SERVERS = "millrace.kafka.bootstrap-servers";
  public static final String TOPIC_PREFIX = "millrace.kafka.topic-prefix";

  /** Name of the policy. */
  public static final String MODEL = "millrace.model.name";

  /** Directory of published model checkpoints. */
  public static final String CHECKPOINTS = "millrace.checkpoints.directory";

  private JobParameters() {}
}

package io.millrace.serve.notify;

/** The calls of one kind of engine that change its weights. */
interface Engine {

  /** Makes what an engine that does not run yet reads at its start. */
  void prepare(EngineVersion version);

  /** Whether the endpoint answers requests with a version, as far as it says. */
  boolean has(EngineVersion version) throws EngineException, InterruptedException;

  /**
   * Has the endpoint load a version. Loading the same version again changes nothing.
   *
   * @throws EngineException if it does not; it may then have no weights at all
   */
  void load(EngineVersion version) throws EngineException, InterruptedException;

  /** Whether a version that did not load leaves the endpoint without the version before it. */
  boolean losesVersion(EngineVersion version);

  /** An earlier process had the endpoint load a version, and committed that. */
  void resume(EngineVersion committed);
}

package io.millrace.serve.notify;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A policy version for an engine.
 *
 * @param model name of the published model
 * @param version its number
 * @param directory the copy of its files on this machine
 * @param enginePath the same directory as the engines see it
 * @param adapter whether the files are a LoRA adapter in PEFT's form
 */
record EngineVersion(
    String model, long version, Path directory, String enginePath, boolean adapter) {

  static EngineVersion of(String model, long version, Path directory, String enginePath) {
    return new EngineVersion(
        model,
        version,
        directory,
        enginePath,
        Files.exists(directory.resolve("adapter_config.json")));
  }

  /**
   * The name that engines give it, such as {@code policy-v12}: as in {@code system_fingerprint}.
   */
  String label() {
    return label(model, version);
  }

  static String label(String model, long version) {
    return model + "-v" + version;
  }
}

package io.millrace.model.checkpoint;

import io.millrace.schemas.Nearest;
import java.io.Serial;
import java.nio.file.Path;
import java.util.Collection;

/**
 * A checkpoint, or one of its files, that cannot be read or written. The message names the file,
 * the tensor if there is one, the problem and the value.
 */
public final class CheckpointException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  private static final int LONGEST_NAME = 200;

  private final String path;
  private final String tensor;
  private final String what;

  private CheckpointException(Path path, String tensor, String what, Throwable cause) {
    super(path + ": " + (tensor == null ? "" : "tensor '" + shorten(tensor) + "': ") + what, cause);
    this.path = String.valueOf(path);
    this.tensor = tensor;
    this.what = what;
  }

  static CheckpointException of(Path path, String what) {
    return new CheckpointException(path, null, what, null);
  }

  static CheckpointException of(Path path, String what, Throwable cause) {
    return new CheckpointException(path, null, what, cause);
  }

  static CheckpointException ofTensor(Path path, String tensor, String what) {
    return new CheckpointException(path, tensor, what, null);
  }

  /** The file or directory. */
  public String path() {
    return path;
  }

  /** The tensor, or null if the problem is not of one tensor. */
  public String tensor() {
    return tensor;
  }

  /** The problem, without file and tensor. */
  public String what() {
    return what;
  }

  /** The nearest candidate in brackets, or the empty string if none is near. */
  static String nearest(String name, Collection<String> candidates) {
    return Nearest.to(name, candidates).map(near -> " (nearest: '" + near + "')").orElse("");
  }

  /** Shortens a name for messages: a hostile file could flood a log with a long one. */
  static String shorten(String name) {
    return name.length() <= LONGEST_NAME ? name : name.substring(0, LONGEST_NAME) + "…";
  }
}

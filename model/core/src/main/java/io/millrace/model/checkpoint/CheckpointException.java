package io.millrace.model.checkpoint;

import java.io.Serial;
import java.nio.file.Path;

/**
 * A checkpoint, or a file of one, that cannot be read or written. The message says which file,
 * which tensor where there is one, what is wrong, and the value that is.
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

  /** The tensor, or null where the problem is not of one. */
  public String tensor() {
    return tensor;
  }

  /** What is wrong, without file and tensor. */
  public String what() {
    return what;
  }

  /** Names come from files that may be hostile: none may flood a log. */
  static String shorten(String name) {
    return name.length() <= LONGEST_NAME ? name : name.substring(0, LONGEST_NAME) + "…";
  }
}

package io.millrace.schemas.wire;

import io.millrace.schemas.UnusableRecordException;

/**
 * Bytes or text that cannot be decoded into a record. Its reason is "undecodable", unless a schema
 * of a registry is the cause.
 */
public final class WireFormatException extends UnusableRecordException {
  private static final long serialVersionUID = 1L;

  public static final String REASON = "undecodable";

  /** The reason of a record whose schema id is not in the registry. */
  public static final String UNKNOWN_SCHEMA = "unknown-schema";

  /** The reason of a record whose registered schema cannot be resolved to that of this build. */
  public static final String INCOMPATIBLE_SCHEMA = "incompatible-schema";

  public WireFormatException(String message) {
    this(message, null);
  }

  public WireFormatException(String message, Throwable cause) {
    this(REASON, message, cause);
  }

  private WireFormatException(String reason, String message, Throwable cause) {
    super(reason, message, cause);
  }

  /** For a schema id that is not in the registry. */
  public static WireFormatException unknownSchema(String message) {
    return new WireFormatException(UNKNOWN_SCHEMA, message, null);
  }

  /**
   * For a registered schema with which no record of this type can be read.
   *
   * @param cause may be null
   */
  public static WireFormatException incompatibleSchema(String message, Throwable cause) {
    return new WireFormatException(INCOMPATIBLE_SCHEMA, message, cause);
  }
}

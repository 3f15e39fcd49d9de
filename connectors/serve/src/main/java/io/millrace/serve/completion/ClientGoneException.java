package io.millrace.serve.completion;

/** The client has closed its connection before the end of the response. */
public final class ClientGoneException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  ClientGoneException() {
    super("the client has closed the connection");
  }

  /**
   * @param cause why nothing can be written
   */
  public ClientGoneException(Exception cause) {
    super("the client has closed the connection", cause);
  }
}

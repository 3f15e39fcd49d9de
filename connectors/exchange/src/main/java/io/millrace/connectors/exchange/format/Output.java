package io.millrace.connectors.exchange.format;

import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Topic;
import org.apache.avro.specific.SpecificRecordBase;

/** Takes what a row becomes. */
public interface Output {

  /** Takes a record, valid or not. */
  <T extends SpecificRecordBase> void add(Topic<T> topic, T record);

  /** Takes the reason why a part of the row became no record. */
  void refuse(RefusedRecordException problem);
}

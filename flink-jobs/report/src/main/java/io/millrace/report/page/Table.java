package io.millrace.report.page;

import io.millrace.report.chart.Format;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/**
 * A table of records: one row per record, one column per property.
 *
 * @param <T> the type of the records
 */
public final class Table<T> {

  private final List<T> records;
  private final List<Column<T>> columns = new ArrayList<>();

  private record Column<T>(String heading, Block.Kind kind, Function<T, String> text) {}

  private Table(List<T> records) {
    this.records = List.copyOf(records);
  }

  /** A table without columns. */
  public static <T> Table<T> of(List<T> records) {
    return new Table<>(records);
  }

  /** Adds a column of texts. */
  public Table<T> text(String heading, Function<T, String> text) {
    columns.add(new Column<>(heading, Block.Kind.TEXT, text));
    return this;
  }

  /** Adds a column of paths and digests, in letters of one width. */
  public Table<T> code(String heading, Function<T, String> code) {
    columns.add(new Column<>(heading, Block.Kind.CODE, code));
    return this;
  }

  /** Adds a column of numbers that are texts already, such as intervals. */
  public Table<T> number(String heading, Function<T, String> number) {
    columns.add(new Column<>(heading, Block.Kind.NUMBER, number));
    return this;
  }

  /** Adds a column of numbers. */
  public Table<T> number(String heading, Format format, ToDoubleFunction<T> number) {
    return number(heading, record -> format.of(number.applyAsDouble(record)));
  }

  /** Whether the table has no rows. */
  boolean isEmpty() {
    return records.isEmpty();
  }

  Block.Rows block() {
    List<Block.Cell> header =
        columns.stream().map(column -> new Block.Cell(column.heading(), column.kind())).toList();
    return new Block.Rows(header, records.stream().map(this::row).toList());
  }

  private List<Block.Cell> row(T record) {
    return columns.stream()
        .map(column -> new Block.Cell(column.text().apply(record), column.kind()))
        .toList();
  }
}

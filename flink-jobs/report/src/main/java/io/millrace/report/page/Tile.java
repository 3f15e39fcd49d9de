package io.millrace.report.page;

/**
 * An important number, shown large.
 *
 * @param name the name of the number
 * @param value the number as text
 * @param comparison a text below it, such as the number of another version
 */
public record Tile(String name, String value, String comparison) {}

/** Flink's file systems, such as S3, for the checkpoint store. */
package io.millrace.connectors.flink.files;

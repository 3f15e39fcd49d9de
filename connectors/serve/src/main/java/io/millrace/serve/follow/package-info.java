/** Where served models come from: announcements, a pinned version, a directory. */
package io.millrace.serve.follow;

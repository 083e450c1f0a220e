/**
 * What new segments are filled with, a chunk at a time. Nobody writes into it. Linux caches a file
 * in pieces as large as its writes were, and goes through a whole piece for each page of it that is
 * written later: pages filled by the mebibyte took a third longer to write than these.
 */
export const ZEROS = Buffer.alloc(256 * 1024);

/** What new segments are filled with, a chunk at a time. Nobody writes into it. */
export const ZEROS = Buffer.alloc(1024 * 1024);

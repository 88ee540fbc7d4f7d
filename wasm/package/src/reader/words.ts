// The words of shared memory through which the module asks the reader (platform/wasm/reader_channel.h): 32 bits each, in this order.
export const SIGNAL = 0; // changes with every request
export const ENDING = 1; // 1: the reader is to end
export const ENDED = 2; // 1: it has
export const PROBLEM = 3; // the last result that was not DONE, and above its 8 bits what it was about

export const FIRST_REQUEST = 4;
export const REQUESTS = 4;
export const REQUEST_WORDS = 8;
// Of a request, from its first word on.
export const STATE = 0;
export const NUMBER = 1;
export const KIND = 2;
export const OFFSET_LOW = 3;
export const OFFSET_HIGH = 4;
export const ADDRESS = 5;
export const BYTES = 6;
export const RESULT = 7;

export const WORDS = FIRST_REQUEST + REQUESTS * REQUEST_WORDS;

export const ASKED = 1;
export const ANSWERED = 2;

export const READ_MODEL = 0;
export const READ_SCRATCH = 1;
export const WRITE_SCRATCH = 2;

export const DONE = 0;
export const SHORT = 1; // fewer bytes than asked for
export const GONE = 2;
export const UNREADABLE = 3;
export const FULL = 4;
export const SILENT = 5; // written by the module: the reader does not answer

import { expect, test } from 'vitest';

import { explain } from '../src/troubles';

test('a message is what has happened, what to do, and what the provider said', () => {
  expect(explain('openai refused the key (401); put a valid key into .env (details: Incorrect API key; see (docs))')).toEqual({
    what: 'OpenAI refused the key (401)',
    fix: 'put a valid key into .env',
    quote: 'Incorrect API key; see (docs)',
  });
});

test('a message without fix or quote is shown as it is', () => {
  expect(explain('the model answered nothing')).toEqual({ what: 'the model answered nothing', fix: '', quote: '' });
});

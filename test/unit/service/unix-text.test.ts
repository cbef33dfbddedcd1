import { whyTooLong } from '../../../src/service/unix-text';

test('a path and an abstract name have room for 107 bytes, counted in UTF-8', () => {
  expect(whyTooLong(`/${'x'.repeat(106)}`)).toBeNull();
  expect(whyTooLong(`@${'x'.repeat(107)}`)).toBeNull();
  expect(whyTooLong(`/${'é'.repeat(53)}`)).toBeNull();
});

test('tells how long a longer one is', () => {
  expect(whyTooLong(`/${'x'.repeat(107)}`)?.message).toMatch(/has 108 bytes, and the kernel has room for 107$/);
  expect(whyTooLong(`/${'é'.repeat(54)}`)?.message).toContain('has 109 bytes');
  expect(whyTooLong(`@${'x'.repeat(108)}`)?.message).toContain('the abstract name has 108 bytes');
});

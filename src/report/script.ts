/**
 * All script of the page: when a map is zoomed, what was in the middle stays there. Zooming itself needs no script.
 *
 * It has to stay the same to the byte when it is put into the page, for the hash in the Content-Security-Policy.
 */
export const SCRIPT = `
for (const figure of document.querySelectorAll('.zoomable')) {
  const view = figure.querySelector('.view');
  let middle = 0.5;
  const remember = () => { middle = (view.scrollLeft + view.clientWidth / 2) / view.scrollWidth; };
  view.addEventListener('scroll', remember, { passive: true });
  figure.addEventListener('change', () => {
    const kept = middle;
    view.scrollLeft = kept * view.scrollWidth - view.clientWidth / 2;
    middle = kept;
  });
}
`;

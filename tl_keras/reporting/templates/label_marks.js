"use strict";
{
  const bar = document.getElementById("marks");
  const [save, told] = bar.querySelectorAll("button, output");
  const { header, classes, before } = JSON.parse(bar.dataset.marking);
  const chosen = new Map(); // by the cell of the photo: what was said of it
  let unsaved = false;

  const photos = [...document.querySelectorAll("form.mark")].map((form) => {
    const mark = JSON.parse(form.dataset.mark);
    const [select, back] = form.querySelectorAll("select, button");
    classes.forEach(([name, cell]) => {
      if (cell !== mark.label) {
        select.add(new Option(name, cell, cell === mark.suggested, cell === mark.suggested));
      }
    });
    return { form, mark, select, back };
  });

  const label = (mark, said) => ({ right: mark.label, wrong: said.other, out: '""' })[said.is];

  function show() {
    for (const { form, mark, select, back } of photos) {
      const said = chosen.get(mark.image_id);
      for (const radio of form.elements.is) radio.checked = radio.value === said?.is;
      if (said) select.value = said.other;
      back.hidden = !said;
    }
    const count = chosen.size;
    save.disabled = !count;
    told.textContent = count ? `${count} ${count === 1 ? "photo" : "photos"} marked` : "";
  }

  for (const { form, mark, select, back } of photos) {
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => {
      const is = event.target === select ? "wrong" : event.target.value;
      chosen.set(mark.image_id, { mark, is, other: select.value });
      unsaved = true;
      show();
    });
    back.addEventListener("click", () => {
      chosen.delete(mark.image_id);
      form.elements.is[0].focus();
      show();
    });
  }

  save.addEventListener("click", () => {
    const rows = new Map(before);
    for (const [image, said] of chosen) rows.set(image, `${said.mark.was},${label(said.mark, said)}`);
    const lines = [header, ...[...rows].map(([image, rest]) => `${image},${rest}`)];
    const link = document.createElement("a");
    // the mark tells spreadsheets that it is UTF-8
    link.href = URL.createObjectURL(new Blob(["\ufeff", lines.join("\n"), "\n"], { type: "text/csv" }));
    link.download = "corrections.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    unsaved = false;
    told.textContent += ", saved as corrections.csv";
  });

  addEventListener("beforeunload", (event) => {
    if (unsaved && chosen.size) event.preventDefault();
  });
  // what a browser kept of the form when the page was loaded again
  show();
}

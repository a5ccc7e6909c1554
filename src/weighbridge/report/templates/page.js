"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  // ---- tables that sort ----
  for (const table of all("table.sorts")) {
    const heads = all("thead th", table), body = table.tBodies[0];
    heads.forEach((head, column) => one("button", head)?.addEventListener("click", () => {
      const text = head.dataset.text === "yes", before = head.getAttribute("aria-sort");
      const down = before === null ? !text : before === "ascending";
      const value = (row) => row.cells[column].dataset.v ?? "";
      const order = (a, b) => {
        const [left, right] = [value(a), value(b)];
        if (left === "" || right === "") return (left === "") - (right === "");  // what is not known stays below
        const less = text ? left.localeCompare(right, undefined, { numeric: true }) : left - right;
        return down ? -less : less;
      };
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...[...body.rows].sort(order));
    }));
  }

  // ---- gallery ----
  const gallery = one("#gallery");
  const visible = () => all(".card", gallery).filter((card) => card.offsetParent !== null);
  if (gallery) {
    const FEW_CLASSES = 12;
    const predicted = one("#predicted"), truth = one("#true"), kind = one("#kind"), others = one("#others");
    const sections = all(".class", gallery);
    const show = () => {
      const few = window.innerWidth < 640 ? 9 : 16;
      let photos = 0, classes = 0, left = 0;
      for (const section of sections) {
        const own = predicted.value === "" || section.dataset.class === predicted.value;
        const fits = all(".cards li", section).filter((item) => {
          const card = item.firstElementChild;
          const good = own && (!truth || truth.value === "" || card.dataset.true === truth.value)
            && (kind.value === "" || card.classList.contains(kind.value));
          item.hidden = true;
          return good;
        });
        const most = section.dataset.open || predicted.value !== "" ? Infinity : few;
        fits.slice(0, most).forEach((item) => { item.hidden = false; });
        const more = one(".more", section);
        more.hidden = fits.length <= most;
        more.textContent = `Show all ${fits.length}`;
        const late = fits.length > 0 && classes >= FEW_CLASSES && !gallery.dataset.open;
        section.hidden = fits.length === 0 || late;
        classes += fits.length > 0;
        left += late;
        photos += fits.length;
      }
      others.hidden = left === 0;
      others.textContent = left === 1 ? "Show the other class" : `Show the other ${left} classes`;
      one("#found").textContent = `${photos} photos in ${classes} ${classes === 1 ? "class" : "classes"} fit the filter.`;
    };
    for (const select of [predicted, truth, kind]) select?.addEventListener("change", show);
    for (const section of sections) {
      one(".more", section).addEventListener("click", () => { section.dataset.open = "yes"; show(); });
    }
    others.addEventListener("click", () => { gallery.dataset.open = "yes"; show(); });
    show();
  }

  // ---- one photo, large ----
  const large = one("#large");
  if (large) {
    let current = null;
    const fill = (card) => {
      current = card;
      const picture = one("img", large), small = one("img", card), facts = one("dl", large);
      picture.hidden = small === null;
      if (small) { picture.src = small.src; picture.alt = card.getAttribute("aria-label"); }
      const { label, p, before, beforep, file, unlike } = card.dataset, truth = card.dataset.true;
      const lines = [["taken for", `${label}, ${p}`]];
      if (truth) lines.push(["is", card.classList.contains("wrong") ? `${truth}: wrong` : `${truth}: right`]);
      if (before) lines.push(["before adapting", `${before}, ${beforep}`]);
      if (unlike) lines.push(["unlike the renders", card.classList.contains("unlike") ? `${unlike}: unlike all of them` : unlike]);
      if (card.classList.contains("doubtful")) lines.push(["doubtful", "look at it yourself"]);
      lines.push(["file", file]);
      facts.replaceChildren(...lines.flatMap(([name, text]) => {
        const term = document.createElement("dt"), value = document.createElement("dd"), bdi = document.createElement("bdi");
        term.textContent = name; bdi.textContent = text; value.append(bdi);
        return [term, value];
      }));
    };
    const step = (by) => {
      const cards = visible(), place = cards.indexOf(current) + by;
      if (cards[place]) fill(cards[place]);
    };
    gallery.addEventListener("click", (event) => {
      const card = event.target.closest(".card");
      if (card) { fill(card); large.showModal(); }
    });
    large.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.go) step(Number(button.dataset.go));
      else if (button || event.target === large) large.close();
    });
    large.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) { step(by); event.preventDefault(); }
    });
    large.addEventListener("close", () => current?.focus());
  }

  // ---- confusions ----
  for (const map of all(".heat")) {
    const { cell, edge, names, cells, of } = map.dataset, readout = one(`#${map.dataset.says}`);
    const words = JSON.parse(names), totals = JSON.parse(of), said = readout.textContent;
    const counts = new Map(JSON.parse(cells).map(([row, column, count]) => [row * words.length + column, count]));
    map.addEventListener("pointermove", (event) => {
      const box = map.getBoundingClientRect(), scale = map.viewBox.baseVal.width / box.width;
      const place = (at, start) => Math.floor(((at - start) * scale - Number(edge)) / Number(cell));
      const row = place(event.clientY, box.top), column = place(event.clientX, box.left);
      if (row < 0 || column < 0 || row >= words.length || column >= words.length) { readout.textContent = said; return; }
      const count = counts.get(row * words.length + column) ?? 0;
      const share = totals[row] ? ` (${(100 * count / totals[row]).toFixed(1)} %)` : "";
      readout.textContent = `${count} of ${totals[row]} ${words[row]}${share} ${row === column ? "are told right" : `are taken for ${words[column]}`}`;
    });
    map.addEventListener("pointerleave", () => { readout.textContent = said; });
  }

  // ---- both domains in one plane ----
  for (const plane of all(".plane")) {
    const drawing = one("svg", plane), tip = one(".tip", plane), about = JSON.parse(plane.dataset.about);
    const dots = all("circle", drawing), sheets = all("img.sheet", plane), filter = one("#plane-class");
    const side = Number(plane.dataset.side), across = Number(plane.dataset.across);
    const places = dots.map((dot) => [dot.cx.baseVal.value, dot.cy.baseVal.value]);
    let here = -1;
    const point = (k) => {
      if (k === here) return;
      dots[here]?.classList.remove("here");
      here = k;
      tip.hidden = k < 0;
      if (k < 0) return;
      const [which, place, file, label] = about[k], picture = one("i", tip), sheet = sheets[which];
      dots[k].classList.add("here");
      picture.hidden = !sheet?.src;
      if (sheet?.src) {
        picture.style.backgroundImage = `url(${sheet.src})`;
        picture.style.backgroundSize = `${2 * side * across}px auto`;
        picture.style.backgroundPosition = `${-2 * side * (place % across)}px ${-2 * side * Math.floor(place / across)}px`;
      }
      one("span", tip).textContent = `${which ? "photo, taken for" : "render of"} ${label}`;
      one("bdi", tip).textContent = file.split("/").pop();
      const scale = drawing.clientWidth / drawing.viewBox.baseVal.width, [x, y] = places[k];
      tip.style.left = `${Math.max(0, Math.min(x * scale + 12, plane.clientWidth - 160))}px`;
      tip.style.top = `${y * scale + 14}px`;
    };
    drawing.addEventListener("pointermove", (event) => {
      const box = drawing.getBoundingClientRect(), scale = drawing.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
      let best = -1, least = 18 ** 2;
      places.forEach(([px, py], k) => {
        const far = (px - x) ** 2 + (py - y) ** 2;
        if (far < least && !dots[k].classList.contains("far")) { best = k; least = far; }
      });
      point(best);
    });
    drawing.addEventListener("pointerleave", () => point(-1));
    drawing.addEventListener("blur", () => point(-1));
    drawing.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      let next = here;
      for (let tries = 0; tries < dots.length; tries++) {
        next = (next + by + dots.length) % dots.length;
        if (!dots[next].classList.contains("far")) break;
      }
      point(next);
      event.preventDefault();
    });
    filter?.addEventListener("change", () => {
      point(-1);
      for (const dot of dots) dot.classList.toggle("far", filter.value !== "" && dot.dataset.k !== filter.value);
    });
  }
})();

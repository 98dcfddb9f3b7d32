"use strict";
// A structure on a canvas: shaded spheres, half bonds, cell and force arrows, sorted by depth.
function Viewer(canvas, scene) {
  const context = canvas.getContext("2d");
  let view = scene.view, zoom = 1, focus = [0, 0, 0];
  const arrows = Object.entries(scene.forces);
  const longest = Math.max(1e-9, ...arrows.flatMap(([, f]) => f.map((v) => Math.hypot(...v))));
  const perForce = 1.9 / longest;

  const corners = [];
  if (scene.cell) {
    const { origin, vectors } = scene.cell;
    for (let n = 0; n < 8; n++) {
      corners.push([0, 1, 2].map((x) => origin[x] +
        [0, 1, 2].reduce((sum, k) => sum + ((n >> k) & 1) * vectors[k][x], 0)));
    }
  }
  const center = scene.cell
    ? [0, 1, 2].map((x) => scene.cell.origin[x] + 0.5 * scene.cell.vectors.reduce((s, v) => s + v[x], 0))
    : [0, 0, 0];
  // Directions without a lattice vector are centered on the atoms.
  const middle = scene.cell && scene.cell.vectors.every((v) => Math.hypot(...v) > 0) ? center : [0, 0, 0];
  const reach = Math.max(1.5, ...[...scene.positions, ...(middle === center ? corners : [])].map(
    (p) => Math.hypot(p[0] - middle[0], p[1] - middle[1], p[2] - middle[2]))) + 0.9;

  function rotate(p) {
    const q = p.map((x, k) => x - focus[k]);
    return view.map((row) => row[0] * q[0] + row[1] * q[1] + row[2] * q[2]);
  }

  function turn(right, down) {
    const [c, s, d, t] = [Math.cos(right), Math.sin(right), Math.cos(down), Math.sin(down)];
    const step = [[c, 0, s], [t * s, d, -t * c], [-d * s, t, d * c]];
    view = step.map((row) => [0, 1, 2].map((k) => row.reduce((sum, v, n) => sum + v * view[n][k], 0)));
    draw();
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.lineCap = context.lineJoin = "round";
    const style = getComputedStyle(canvas);
    const color = (name) => style.getPropertyValue(name).trim();
    const scale = (zoom * Math.min(width, height)) / (2 * reach);
    const screen = (q) => [width / 2 + scale * q[0], height / 2 - scale * q[1]];
    const things = [];
    // Zooming in moves the marked atom to the center.
    const share = scene.worst === null ? 0 : Math.max(0, 1 - 1 / zoom);
    const target = scene.positions[scene.worst] || middle;
    focus = middle.map((x, k) => x + share * (target[k] - x));

    const points = scene.positions.map(rotate);
    points.forEach((q, n) => {
      const element = scene.elements[scene.kind[n]];
      const radius = Math.max(2, element.radius * scale);
      things.push([q[2], () => sphere(screen(q), radius, element.color)]);
      if (n === scene.worst) things.push([Infinity, () => ring(screen(q), radius + 4)]);
    });
    for (const [atom, ...end] of scene.bonds) {
      const [a, b] = [points[atom], rotate(end)];
      const rgb = scene.elements[scene.kind[atom]].color;
      things.push([0.5 * (a[2] + b[2]) - 0.05, () => {
        stroke(screen(a), screen(b), 0.2 * scale + 1.6, shade(rgb, 0.55));
        stroke(screen(a), screen(b), 0.2 * scale, shade(rgb, 0.9));
      }]);
    }
    scene.positions.forEach((position, n) => {
      // The reference comes first and is wider, so that it shows below a prediction that is right.
      const tips = arrows.map(([name, forces]) =>
        [name, rotate(position.map((x, k) => x + perForce * forces[n][k]))]);
      const depth = Math.max(points[n][2], ...tips.map(([, tip]) => tip[2])) + 0.3;
      things.push([depth, () => {
        for (const [name, tip] of tips) {
          arrow(screen(points[n]), screen(tip), name === "predicted" ? 1.8 : 4.5, color("--" + name));
        }
      }]);
    });
    for (let a = 0; a < corners.length; a++) {
      for (const bit of [1, 2, 4]) {
        const b = a | bit;
        if (a === b) continue;
        const [p, q] = [rotate(corners[a]), rotate(corners[b])];
        things.push([Math.min(p[2], q[2]), () => stroke(screen(p), screen(q), 1, color("--muted"))]);
      }
    }
    things.sort((a, b) => a[0] - b[0]).forEach(([, paint]) => paint());

    function stroke(a, b, thickness, paint) {
      context.beginPath();
      context.moveTo(...a);
      context.lineTo(...b);
      context.lineWidth = thickness;
      context.strokeStyle = paint;
      context.stroke();
    }

    function arrow(a, b, thickness, paint) {
      const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
      const length = Math.hypot(dx, dy);
      if (length < 3) return;
      const head = Math.min(5 + 1.8 * thickness, 0.6 * length);
      const [ux, uy] = [(head * dx) / length, (head * dy) / length];
      stroke(a, [b[0] - 0.7 * ux, b[1] - 0.7 * uy], thickness, paint);
      context.beginPath();
      context.moveTo(...b);
      context.lineTo(b[0] - ux - 0.45 * uy, b[1] - uy + 0.45 * ux);
      context.lineTo(b[0] - ux + 0.45 * uy, b[1] - uy - 0.45 * ux);
      context.fillStyle = paint;
      context.fill();
    }

    function sphere([x, y], radius, rgb) {
      const light = context.createRadialGradient(
        x - 0.35 * radius, y - 0.4 * radius, 0.05 * radius, x, y, radius);
      light.addColorStop(0, shade(rgb, 1.5));
      light.addColorStop(0.45, shade(rgb, 1));
      light.addColorStop(1, shade(rgb, 0.62));
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fillStyle = light;
      context.fill();
      context.lineWidth = 0.8;
      context.strokeStyle = shade(rgb, 0.45);
      context.stroke();
    }

    function ring([x, y], radius) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.setLineDash([4, 4]);
      context.strokeStyle = color("--predicted");
      context.stroke();
      context.setLineDash([]);
    }
  }

  function shade(rgb, factor) {
    const mixed = rgb.map((c) => Math.round(factor > 1 ? c + (255 - c) * (factor - 1) : c * factor));
    return `rgb(${mixed})`;
  }

  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) turn(0.01 * event.movementX, 0.01 * event.movementY);
  });
  canvas.addEventListener("dblclick", () => { view = scene.view; zoom = 1; draw(); });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom = Math.min(8, Math.max(0.4, zoom * Math.exp(-0.002 * event.deltaY)));
    draw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (event.key === "+" || event.key === "-") { zoom *= event.key === "+" ? 1.15 : 1 / 1.15; draw(); }
    else if (step[event.key]) turn(...step[event.key]);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(canvas);
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    window.matchMedia(query).addEventListener("change", draw);
  }
  draw();
}

for (const canvas of document.querySelectorAll("canvas[data-scene]")) {
  new Viewer(canvas, JSON.parse(document.getElementById(canvas.dataset.scene).textContent));
}
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
});

// views on and off
Object.values(drawn).forEach((points, i) => { points.visible = boxes.active.includes(i); });

// a finger that moves scrolls the page, two zoom; a mouse moves the map
if (!plot.toolbar.active_drag && matchMedia('(hover: hover)').matches) {
  plot.toolbar.active_drag = pan;
}

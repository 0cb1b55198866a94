// smaller points on a phone
for (const {glyph} of Object.values(drawn)) glyph.size = plot.inner_width < 450 ? 5 : 7;

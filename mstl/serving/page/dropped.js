// Dropped files: also those in folders.

const IMAGE = /^image\//;

export async function droppedFiles(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()); // now: the list is emptied once we wait
  const files = [...data.files];
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  return (await Promise.all(entries.map((entry) => filesOf(entry)))).flat();
}

// What was dropped itself is tried whatever it is; a folder's other files, such as thumbnails' caches, are none of it.
async function filesOf(entry, isInside = false) {
  if (entry?.isDirectory) {
    return (await Promise.all((await childrenOf(entry)).map((child) => filesOf(child, true)))).flat();
  }
  if (!entry?.isFile) return [];
  const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
  return !isInside || IMAGE.test(file.type) ? [file] : [];
}

// A reader gives a folder's entries a hundred at a time.
async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return children.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
    children.push(...some);
  }
}

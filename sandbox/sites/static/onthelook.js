// Draws a post into the empty page. Class names other than product-item are hashed, as styled-components does.
const root = document.getElementById("root");
const [, kind, id] = location.pathname.split("/");

function element(name, attributes = {}, children = []) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function product(item) {
  return element("a", { class: "sc-bcXHqe product-item", href: `/product/${item.id}` }, [
    element("img", { class: "sc-gswNZR", src: `${item.image}?w=192&q=60&f=webp`, alt: item.name, loading: "lazy" }),
    element("p", { class: "sc-brand product-brand" }, [item.brand]),
    element("p", { class: "sc-name product-name" }, [item.name]),
    element("p", { class: "sc-price product-price" }, [`${item.price.toLocaleString("ko-KR")}원`]),
  ]);
}

function photo(path, index) {
  const attributes = { class: "sc-kpOJdX hShvMP", src: `${path}?w=1080&q=80&f=webp`, alt: "" };
  return element("img", index === 0 ? { id: "post-image", ...attributes } : attributes);
}

async function show() {
  const answer = await fetch(`/api/posts/${id}`);
  if (!answer.ok) {
    root.append(element("main", { class: "not-found" }, ["존재하지 않는 게시물입니다."]));
    return;
  }
  const post = await answer.json();
  root.append(
    element("main", {}, [
      element("time", { datetime: post.createdAt }, [post.createdAt.slice(0, 10)]),
      element("div", { class: "sc-iBYQkv photos" }, post.images.map(photo)),
      ...(post.label ? [element("span", { class: "sc-label" }, [post.label])] : []),
      element("section", { class: "sc-products" }, post.products.map(product)),
      element("img", { src: "/bridge/pixel.gif", width: 1, height: 1, alt: "" }),
    ]),
  );
}

if (kind === "post") show();

// Views that are many, or drawn often, and seldom another than before.

import { Component } from "../vendor/preact.js";

/** `view`, drawn again only when one of its properties is another one. */
export function memo(view) {
  return class Memo extends Component {
    shouldComponentUpdate(next) {
      return Object.keys(next).some((key) => !Object.is(next[key], this.props[key]));
    }

    render(props) {
      return view(props);
    }
  };
}

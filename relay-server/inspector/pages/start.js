// Made from ../src by tests/inspector/bundle: change it there. Contains Preact (MIT) and htm (Apache-2.0), see ../src/vendor.

// vendor/preact.js
var e;
var n;
var _;
var t;
var o;
var r;
var u;
var l = {};
var i = [];
var c = /acit|ex(?:s|g|n|p|$)|rph|grid|ows|mnc|ntw|ine[ch]|zoo|^ord|itera/i;
function s(e2, n2) {
  for (var _2 in n2) e2[_2] = n2[_2];
  return e2;
}
function f(e2) {
  var n2 = e2.parentNode;
  n2 && n2.removeChild(e2);
}
function a(n2, _2, t2) {
  var o2, r2, u2, l2 = {};
  for (u2 in _2) "key" == u2 ? o2 = _2[u2] : "ref" == u2 ? r2 = _2[u2] : l2[u2] = _2[u2];
  if (arguments.length > 2 && (l2.children = arguments.length > 3 ? e.call(arguments, 2) : t2), "function" == typeof n2 && null != n2.defaultProps) for (u2 in n2.defaultProps) void 0 === l2[u2] && (l2[u2] = n2.defaultProps[u2]);
  return p(n2, l2, o2, r2, null);
}
function p(e2, t2, o2, r2, u2) {
  var l2 = { type: e2, props: t2, key: o2, ref: r2, __k: null, __: null, __b: 0, __e: null, __d: void 0, __c: null, __h: null, constructor: void 0, __v: null == u2 ? ++_ : u2 };
  return null != n.vnode && n.vnode(l2), l2;
}
function h(e2) {
  return e2.children;
}
function d(e2, n2) {
  this.props = e2, this.context = n2;
}
function v(e2, n2) {
  if (null == n2) return e2.__ ? v(e2.__, e2.__.__k.indexOf(e2) + 1) : null;
  for (var _2; n2 < e2.__k.length; n2++) if (null != (_2 = e2.__k[n2]) && null != _2.__e) return _2.__e;
  return "function" == typeof e2.type ? v(e2) : null;
}
function y(e2) {
  var n2, _2;
  if (null != (e2 = e2.__) && null != e2.__c) {
    for (e2.__e = e2.__c.base = null, n2 = 0; n2 < e2.__k.length; n2++) if (null != (_2 = e2.__k[n2]) && null != _2.__e) {
      e2.__e = e2.__c.base = _2.__e;
      break;
    }
    return y(e2);
  }
}
function m(e2) {
  (!e2.__d && (e2.__d = true) && t.push(e2) && !g.__r++ || r !== n.debounceRendering) && ((r = n.debounceRendering) || o)(g);
}
function g() {
  for (var e2; g.__r = t.length; ) e2 = t.sort(function(e3, n2) {
    return e3.__v.__b - n2.__v.__b;
  }), t = [], e2.some(function(e3) {
    var n2, _2, t2, o2, r2, u2;
    e3.__d && (r2 = (o2 = (n2 = e3).__v).__e, (u2 = n2.__P) && (_2 = [], (t2 = s({}, o2)).__v = o2.__v + 1, P(u2, o2, t2, n2.__n, void 0 !== u2.ownerSVGElement, null != o2.__h ? [r2] : null, _2, null == r2 ? v(o2) : r2, o2.__h), D(_2, o2), o2.__e != r2 && y(o2)));
  });
}
function k(e2, n2, _2, t2, o2, r2, u2, c2, s2, f2) {
  var a2, d2, y2, m2, g2, k2, x2, H2 = t2 && t2.__k || i, E2 = H2.length;
  for (_2.__k = [], a2 = 0; a2 < n2.length; a2++) if (null != (m2 = _2.__k[a2] = null == (m2 = n2[a2]) || "boolean" == typeof m2 ? null : "string" == typeof m2 || "number" == typeof m2 || "bigint" == typeof m2 ? p(null, m2, null, null, m2) : Array.isArray(m2) ? p(h, { children: m2 }, null, null, null) : m2.__b > 0 ? p(m2.type, m2.props, m2.key, null, m2.__v) : m2)) {
    if (m2.__ = _2, m2.__b = _2.__b + 1, null === (y2 = H2[a2]) || y2 && m2.key == y2.key && m2.type === y2.type) H2[a2] = void 0;
    else for (d2 = 0; d2 < E2; d2++) {
      if ((y2 = H2[d2]) && m2.key == y2.key && m2.type === y2.type) {
        H2[d2] = void 0;
        break;
      }
      y2 = null;
    }
    P(e2, m2, y2 = y2 || l, o2, r2, u2, c2, s2, f2), g2 = m2.__e, (d2 = m2.ref) && y2.ref != d2 && (x2 || (x2 = []), y2.ref && x2.push(y2.ref, null, m2), x2.push(d2, m2.__c || g2, m2)), null != g2 ? (null == k2 && (k2 = g2), "function" == typeof m2.type && null != m2.__k && m2.__k === y2.__k ? m2.__d = s2 = b(m2, s2, e2) : s2 = C(e2, m2, y2, H2, g2, s2), f2 || "option" !== _2.type ? "function" == typeof _2.type && (_2.__d = s2) : e2.value = "") : s2 && y2.__e == s2 && s2.parentNode != e2 && (s2 = v(y2));
  }
  for (_2.__e = k2, a2 = E2; a2--; ) null != H2[a2] && ("function" == typeof _2.type && null != H2[a2].__e && H2[a2].__e == _2.__d && (_2.__d = v(t2, a2 + 1)), U(H2[a2], H2[a2]));
  if (x2) for (a2 = 0; a2 < x2.length; a2++) T(x2[a2], x2[++a2], x2[++a2]);
}
function b(e2, n2, _2) {
  var t2, o2;
  for (t2 = 0; t2 < e2.__k.length; t2++) (o2 = e2.__k[t2]) && (o2.__ = e2, n2 = "function" == typeof o2.type ? b(o2, n2, _2) : C(_2, o2, o2, e2.__k, o2.__e, n2));
  return n2;
}
function C(e2, n2, _2, t2, o2, r2) {
  var u2, l2, i2;
  if (void 0 !== n2.__d) u2 = n2.__d, n2.__d = void 0;
  else if (null == _2 || o2 != r2 || null == o2.parentNode) e: if (null == r2 || r2.parentNode !== e2) e2.appendChild(o2), u2 = null;
  else {
    for (l2 = r2, i2 = 0; (l2 = l2.nextSibling) && i2 < t2.length; i2 += 2) if (l2 == o2) break e;
    e2.insertBefore(o2, r2), u2 = r2;
  }
  return void 0 !== u2 ? u2 : o2.nextSibling;
}
function x(e2, n2, _2) {
  "-" === n2[0] ? e2.setProperty(n2, _2) : e2[n2] = null == _2 ? "" : "number" != typeof _2 || c.test(n2) ? _2 : _2 + "px";
}
function H(e2, n2, _2, t2, o2) {
  var r2;
  e: if ("style" === n2) if ("string" == typeof _2) e2.style.cssText = _2;
  else {
    if ("string" == typeof t2 && (e2.style.cssText = t2 = ""), t2) for (n2 in t2) _2 && n2 in _2 || x(e2.style, n2, "");
    if (_2) for (n2 in _2) t2 && _2[n2] === t2[n2] || x(e2.style, n2, _2[n2]);
  }
  else if ("o" === n2[0] && "n" === n2[1]) r2 = n2 !== (n2 = n2.replace(/Capture$/, "")), n2 = n2.toLowerCase() in e2 ? n2.toLowerCase().slice(2) : n2.slice(2), e2.l || (e2.l = {}), e2.l[n2 + r2] = _2, _2 ? t2 || e2.addEventListener(n2, r2 ? S : E, r2) : e2.removeEventListener(n2, r2 ? S : E, r2);
  else if ("dangerouslySetInnerHTML" !== n2) {
    if (o2) n2 = n2.replace(/xlink[H:h]/, "h").replace(/sName$/, "s");
    else if ("href" !== n2 && "list" !== n2 && "form" !== n2 && "tabIndex" !== n2 && "download" !== n2 && n2 in e2) try {
      e2[n2] = null == _2 ? "" : _2;
      break e;
    } catch (e3) {
    }
    "function" == typeof _2 || (null != _2 && (false !== _2 || "a" === n2[0] && "r" === n2[1]) ? e2.setAttribute(n2, _2) : e2.removeAttribute(n2));
  }
}
function E(e2) {
  this.l[e2.type + false](n.event ? n.event(e2) : e2);
}
function S(e2) {
  this.l[e2.type + true](n.event ? n.event(e2) : e2);
}
function P(e2, _2, t2, o2, r2, u2, l2, i2, c2) {
  var f2, a2, p2, v2, y2, m2, g2, b2, C2, x2, H2, E2 = _2.type;
  if (void 0 !== _2.constructor) return null;
  null != t2.__h && (c2 = t2.__h, i2 = _2.__e = t2.__e, _2.__h = null, u2 = [i2]), (f2 = n.__b) && f2(_2);
  try {
    e: if ("function" == typeof E2) {
      if (b2 = _2.props, C2 = (f2 = E2.contextType) && o2[f2.__c], x2 = f2 ? C2 ? C2.props.value : f2.__ : o2, t2.__c ? g2 = (a2 = _2.__c = t2.__c).__ = a2.__E : ("prototype" in E2 && E2.prototype.render ? _2.__c = a2 = new E2(b2, x2) : (_2.__c = a2 = new d(b2, x2), a2.constructor = E2, a2.render = A), C2 && C2.sub(a2), a2.props = b2, a2.state || (a2.state = {}), a2.context = x2, a2.__n = o2, p2 = a2.__d = true, a2.__h = []), null == a2.__s && (a2.__s = a2.state), null != E2.getDerivedStateFromProps && (a2.__s == a2.state && (a2.__s = s({}, a2.__s)), s(a2.__s, E2.getDerivedStateFromProps(b2, a2.__s))), v2 = a2.props, y2 = a2.state, p2) null == E2.getDerivedStateFromProps && null != a2.componentWillMount && a2.componentWillMount(), null != a2.componentDidMount && a2.__h.push(a2.componentDidMount);
      else {
        if (null == E2.getDerivedStateFromProps && b2 !== v2 && null != a2.componentWillReceiveProps && a2.componentWillReceiveProps(b2, x2), !a2.__e && null != a2.shouldComponentUpdate && false === a2.shouldComponentUpdate(b2, a2.__s, x2) || _2.__v === t2.__v) {
          a2.props = b2, a2.state = a2.__s, _2.__v !== t2.__v && (a2.__d = false), a2.__v = _2, _2.__e = t2.__e, _2.__k = t2.__k, _2.__k.forEach(function(e3) {
            e3 && (e3.__ = _2);
          }), a2.__h.length && l2.push(a2);
          break e;
        }
        null != a2.componentWillUpdate && a2.componentWillUpdate(b2, a2.__s, x2), null != a2.componentDidUpdate && a2.__h.push(function() {
          a2.componentDidUpdate(v2, y2, m2);
        });
      }
      a2.context = x2, a2.props = b2, a2.state = a2.__s, (f2 = n.__r) && f2(_2), a2.__d = false, a2.__v = _2, a2.__P = e2, f2 = a2.render(a2.props, a2.state, a2.context), a2.state = a2.__s, null != a2.getChildContext && (o2 = s(s({}, o2), a2.getChildContext())), p2 || null == a2.getSnapshotBeforeUpdate || (m2 = a2.getSnapshotBeforeUpdate(v2, y2)), H2 = null != f2 && f2.type === h && null == f2.key ? f2.props.children : f2, k(e2, Array.isArray(H2) ? H2 : [H2], _2, t2, o2, r2, u2, l2, i2, c2), a2.base = _2.__e, _2.__h = null, a2.__h.length && l2.push(a2), g2 && (a2.__E = a2.__ = null), a2.__e = false;
    } else null == u2 && _2.__v === t2.__v ? (_2.__k = t2.__k, _2.__e = t2.__e) : _2.__e = w(t2.__e, _2, t2, o2, r2, u2, l2, c2);
    (f2 = n.diffed) && f2(_2);
  } catch (e3) {
    _2.__v = null, (c2 || null != u2) && (_2.__e = i2, _2.__h = !!c2, u2[u2.indexOf(i2)] = null), n.__e(e3, _2, t2);
  }
}
function D(e2, _2) {
  n.__c && n.__c(_2, e2), e2.some(function(_3) {
    try {
      e2 = _3.__h, _3.__h = [], e2.some(function(e3) {
        e3.call(_3);
      });
    } catch (e3) {
      n.__e(e3, _3.__v);
    }
  });
}
function w(n2, _2, t2, o2, r2, u2, i2, c2) {
  var s2, a2, p2, h2 = t2.props, d2 = _2.props, y2 = _2.type, m2 = 0;
  if ("svg" === y2 && (r2 = true), null != u2) {
    for (; m2 < u2.length; m2++) if ((s2 = u2[m2]) && (s2 === n2 || (y2 ? s2.localName == y2 : 3 == s2.nodeType))) {
      n2 = s2, u2[m2] = null;
      break;
    }
  }
  if (null == n2) {
    if (null === y2) return document.createTextNode(d2);
    n2 = r2 ? document.createElementNS("http://www.w3.org/2000/svg", y2) : document.createElement(y2, d2.is && d2), u2 = null, c2 = false;
  }
  if (null === y2) h2 === d2 || c2 && n2.data === d2 || (n2.data = d2);
  else {
    if (u2 = u2 && e.call(n2.childNodes), a2 = (h2 = t2.props || l).dangerouslySetInnerHTML, p2 = d2.dangerouslySetInnerHTML, !c2) {
      if (null != u2) for (h2 = {}, m2 = 0; m2 < n2.attributes.length; m2++) h2[n2.attributes[m2].name] = n2.attributes[m2].value;
      (p2 || a2) && (p2 && (a2 && p2.__html == a2.__html || p2.__html === n2.innerHTML) || (n2.innerHTML = p2 && p2.__html || ""));
    }
    if ((function(e2, n3, _3, t3, o3) {
      var r3;
      for (r3 in _3) "children" === r3 || "key" === r3 || r3 in n3 || H(e2, r3, null, _3[r3], t3);
      for (r3 in n3) o3 && "function" != typeof n3[r3] || "children" === r3 || "key" === r3 || "value" === r3 || "checked" === r3 || _3[r3] === n3[r3] || H(e2, r3, n3[r3], _3[r3], t3);
    })(n2, d2, h2, r2, c2), p2) _2.__k = [];
    else if (m2 = _2.props.children, k(n2, Array.isArray(m2) ? m2 : [m2], _2, t2, o2, r2 && "foreignObject" !== y2, u2, i2, u2 ? u2[0] : t2.__k && v(t2, 0), c2), null != u2) for (m2 = u2.length; m2--; ) null != u2[m2] && f(u2[m2]);
    c2 || ("value" in d2 && void 0 !== (m2 = d2.value) && (m2 !== n2.value || "progress" === y2 && !m2) && H(n2, "value", m2, h2.value, false), "checked" in d2 && void 0 !== (m2 = d2.checked) && m2 !== n2.checked && H(n2, "checked", m2, h2.checked, false));
  }
  return n2;
}
function T(e2, _2, t2) {
  try {
    "function" == typeof e2 ? e2(_2) : e2.current = _2;
  } catch (e3) {
    n.__e(e3, t2);
  }
}
function U(e2, _2, t2) {
  var o2, r2;
  if (n.unmount && n.unmount(e2), (o2 = e2.ref) && (o2.current && o2.current !== e2.__e || T(o2, null, _2)), null != (o2 = e2.__c)) {
    if (o2.componentWillUnmount) try {
      o2.componentWillUnmount();
    } catch (e3) {
      n.__e(e3, _2);
    }
    o2.base = o2.__P = null;
  }
  if (o2 = e2.__k) for (r2 = 0; r2 < o2.length; r2++) o2[r2] && U(o2[r2], _2, "function" != typeof e2.type);
  t2 || null == e2.__e || f(e2.__e), e2.__e = e2.__d = void 0;
}
function A(e2, n2, _2) {
  return this.constructor(e2, _2);
}
function M(_2, t2, o2) {
  var r2, u2, i2;
  n.__ && n.__(_2, t2), u2 = (r2 = "function" == typeof o2) ? null : o2 && o2.__k || t2.__k, i2 = [], P(t2, _2 = (!r2 && o2 || t2).__k = a(h, null, [_2]), u2 || l, l, void 0 !== t2.ownerSVGElement, !r2 && o2 ? [o2] : u2 ? null : t2.firstChild ? e.call(t2.childNodes) : null, i2, !r2 && o2 ? o2 : u2 ? u2.__e : t2.firstChild, r2), D(i2, _2);
}
e = i.slice, n = { __e: function(e2, n2) {
  for (var _2, t2, o2; n2 = n2.__; ) if ((_2 = n2.__c) && !_2.__) try {
    if ((t2 = _2.constructor) && null != t2.getDerivedStateFromError && (_2.setState(t2.getDerivedStateFromError(e2)), o2 = _2.__d), null != _2.componentDidCatch && (_2.componentDidCatch(e2), o2 = _2.__d), o2) return _2.__E = _2;
  } catch (n3) {
    e2 = n3;
  }
  throw e2;
} }, _ = 0, d.prototype.setState = function(e2, n2) {
  var _2;
  _2 = null != this.__s && this.__s !== this.state ? this.__s : this.__s = s({}, this.state), "function" == typeof e2 && (e2 = e2(s({}, _2), this.props)), e2 && s(_2, e2), null != e2 && this.__v && (n2 && this.__h.push(n2), m(this));
}, d.prototype.forceUpdate = function(e2) {
  this.__v && (this.__e = true, e2 && this.__h.push(e2), m(this));
}, d.prototype.render = h, t = [], o = "function" == typeof Promise ? Promise.prototype.then.bind(Promise.resolve()) : setTimeout, g.__r = 0, u = 0;
var L;
var N;
var W;
var R = 0;
var I = [];
var O = n.__b;
var V = n.__r;
var q = n.diffed;
var B = n.__c;
var $ = n.unmount;
function j(e2, _2) {
  n.__h && n.__h(N, e2, R || _2), R = 0;
  var t2 = N.__H || (N.__H = { __: [], __h: [] });
  return e2 >= t2.__.length && t2.__.push({}), t2.__[e2];
}
function G(e2) {
  return R = 1, z(ie, e2);
}
function z(e2, n2, _2) {
  var t2 = j(L++, 2);
  return t2.t = e2, t2.__c || (t2.__ = [_2 ? _2(n2) : ie(void 0, n2), function(e3) {
    var n3 = t2.t(t2.__[0], e3);
    t2.__[0] !== n3 && (t2.__ = [n3, t2.__[1]], t2.__c.setState({}));
  }], t2.__c = N), t2.__;
}
function J(e2, _2) {
  var t2 = j(L++, 3);
  !n.__s && le(t2.__H, _2) && (t2.__ = e2, t2.__H = _2, N.__H.__h.push(t2));
}
function K(e2, _2) {
  var t2 = j(L++, 4);
  !n.__s && le(t2.__H, _2) && (t2.__ = e2, t2.__H = _2, N.__h.push(t2));
}
function Q(e2) {
  return R = 5, Y(function() {
    return { current: e2 };
  }, []);
}
function Y(e2, n2) {
  var _2 = j(L++, 7);
  return le(_2.__H, n2) && (_2.__ = e2(), _2.__H = n2, _2.__h = e2), _2.__;
}
function Z(e2, n2) {
  return R = 8, Y(function() {
    return e2;
  }, n2);
}
function te() {
  I.forEach(function(e2) {
    if (e2.__P) try {
      e2.__H.__h.forEach(re), e2.__H.__h.forEach(ue), e2.__H.__h = [];
    } catch (_2) {
      e2.__H.__h = [], n.__e(_2, e2.__v);
    }
  }), I = [];
}
n.__b = function(e2) {
  N = null, O && O(e2);
}, n.__r = function(e2) {
  V && V(e2), L = 0;
  var n2 = (N = e2.__c).__H;
  n2 && (n2.__h.forEach(re), n2.__h.forEach(ue), n2.__h = []);
}, n.diffed = function(e2) {
  q && q(e2);
  var _2 = e2.__c;
  _2 && _2.__H && _2.__H.__h.length && (1 !== I.push(_2) && W === n.requestAnimationFrame || ((W = n.requestAnimationFrame) || function(e3) {
    var n2, _3 = function() {
      clearTimeout(t2), oe && cancelAnimationFrame(n2), setTimeout(e3);
    }, t2 = setTimeout(_3, 100);
    oe && (n2 = requestAnimationFrame(_3));
  })(te)), N = void 0;
}, n.__c = function(e2, _2) {
  _2.some(function(e3) {
    try {
      e3.__h.forEach(re), e3.__h = e3.__h.filter(function(e4) {
        return !e4.__ || ue(e4);
      });
    } catch (t2) {
      _2.some(function(e4) {
        e4.__h && (e4.__h = []);
      }), _2 = [], n.__e(t2, e3.__v);
    }
  }), B && B(e2, _2);
}, n.unmount = function(e2) {
  $ && $(e2);
  var _2 = e2.__c;
  if (_2 && _2.__H) try {
    _2.__H.__.forEach(re);
  } catch (e3) {
    n.__e(e3, _2.__v);
  }
};
var oe = "function" == typeof requestAnimationFrame;
function re(e2) {
  var n2 = N;
  "function" == typeof e2.__c && e2.__c(), N = n2;
}
function ue(e2) {
  var n2 = N;
  e2.__c = e2.__(), N = n2;
}
function le(e2, n2) {
  return !e2 || e2.length !== n2.length || n2.some(function(n3, _2) {
    return n3 !== e2[_2];
  });
}
function ie(e2, n2) {
  return "function" == typeof n2 ? n2(e2) : n2;
}
var ce = function(e2, n2, _2, t2) {
  var o2;
  n2[0] = 0;
  for (var r2 = 1; r2 < n2.length; r2++) {
    var u2 = n2[r2++], l2 = n2[r2] ? (n2[0] |= u2 ? 1 : 2, _2[n2[r2++]]) : n2[++r2];
    3 === u2 ? t2[0] = l2 : 4 === u2 ? t2[1] = Object.assign(t2[1] || {}, l2) : 5 === u2 ? (t2[1] = t2[1] || {})[n2[++r2]] = l2 : 6 === u2 ? t2[1][n2[++r2]] += l2 + "" : u2 ? (o2 = e2.apply(l2, ce(e2, l2, _2, ["", null])), t2.push(o2), l2[0] ? n2[0] |= 2 : (n2[r2 - 2] = 0, n2[r2] = o2)) : t2.push(l2);
  }
  return t2;
};
var se = /* @__PURE__ */ new Map();
var fe = function(e2) {
  var n2 = se.get(this);
  return n2 || (n2 = /* @__PURE__ */ new Map(), se.set(this, n2)), (n2 = ce(this, n2.get(e2) || (n2.set(e2, n2 = (function(e3) {
    for (var n3, _2, t2 = 1, o2 = "", r2 = "", u2 = [0], l2 = function(e4) {
      1 === t2 && (e4 || (o2 = o2.replace(/^\s*\n\s*|\s*\n\s*$/g, ""))) ? u2.push(0, e4, o2) : 3 === t2 && (e4 || o2) ? (u2.push(3, e4, o2), t2 = 2) : 2 === t2 && "..." === o2 && e4 ? u2.push(4, e4, 0) : 2 === t2 && o2 && !e4 ? u2.push(5, 0, true, o2) : t2 >= 5 && ((o2 || !e4 && 5 === t2) && (u2.push(t2, 0, o2, _2), t2 = 6), e4 && (u2.push(t2, e4, 0, _2), t2 = 6)), o2 = "";
    }, i2 = 0; i2 < e3.length; i2++) {
      i2 && (1 === t2 && l2(), l2(i2));
      for (var c2 = 0; c2 < e3[i2].length; c2++) n3 = e3[i2][c2], 1 === t2 ? "<" === n3 ? (l2(), u2 = [u2], t2 = 3) : o2 += n3 : 4 === t2 ? "--" === o2 && ">" === n3 ? (t2 = 1, o2 = "") : o2 = n3 + o2[0] : r2 ? n3 === r2 ? r2 = "" : o2 += n3 : '"' === n3 || "'" === n3 ? r2 = n3 : ">" === n3 ? (l2(), t2 = 1) : t2 && ("=" === n3 ? (t2 = 5, _2 = o2, o2 = "") : "/" === n3 && (t2 < 5 || ">" === e3[i2][c2 + 1]) ? (l2(), 3 === t2 && (u2 = u2[0]), t2 = u2, (u2 = u2[0]).push(2, 0, t2), t2 = 0) : " " === n3 || "	" === n3 || "\n" === n3 || "\r" === n3 ? (l2(), t2 = 2) : o2 += n3), 3 === t2 && "!--" === o2 && (t2 = 4, u2 = u2[0]);
    }
    return l2(), u2;
  })(e2)), n2), arguments, [])).length > 1 ? n2 : n2[0];
}.bind(a);

// model/early.js
var FRESH_MS = 1e4;
var asked = window.asked ?? /* @__PURE__ */ new Map();
var here = /* @__PURE__ */ new Map();
for (const [url, answer] of asked) answer.then((got) => void (asked.get(url) === answer && here.set(url, got)), () => {
});
function taken(url) {
  const answer = asked.get(url);
  asked.delete(url);
  here.delete(url);
  return answer;
}
function takenHere(url) {
  const got = here.get(url);
  if (!got?.response.ok) return void 0;
  taken(url);
  return got.text;
}
var firstHere = () => Promise.allSettled([...asked].filter(([url]) => url !== "api/v1/sources").map(([, answer]) => answer));
function forget() {
  asked.clear();
  here.clear();
}
setTimeout(forget, FRESH_MS);

// model/signal.js
var Signal = class {
  #watchers = /* @__PURE__ */ new Set();
  constructor(value) {
    this.value = value;
  }
  set(value) {
    if (Object.is(value, this.value)) return;
    this.value = value;
    this.touch();
  }
  /** Tells the watchers although the value is the same object as before. */
  touch() {
    for (const watcher of [...this.#watchers]) watcher(this.value);
  }
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
};
function useSignal(signal) {
  const [, draw] = G(0);
  K(() => {
    const again = () => draw((n2) => n2 + 1);
    return signal.watch(again);
  }, [signal]);
  return signal.value;
}

// model/api.js
var signedOut = new Signal(false);
var ApiError = class extends Error {
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
};
function address(path, query = {}) {
  const said = Object.entries(query).filter(([, value]) => value !== void 0 && value !== null && value !== "");
  const search = new URLSearchParams(said).toString();
  return `api/v1${path}${search && `?${search}`}`;
}
async function call(method, path, { query, body, signal } = {}) {
  const { response, text } = await send(method, address(path, query), body, signal);
  if (response.status === 204) return null;
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError("unreadable", `The answer (${response.status}) was not what this page expects. Reload the page.`, response.status);
  }
  if (response.ok) return value;
  const { code = "unknown", message = `The server answered ${response.status}.` } = value?.error ?? {};
  if (response.status === 401 && path !== "/session") signedOut.set(true);
  throw new ApiError(code, sentence(message), response.status);
}
async function send(method, url, body, signal) {
  const headers = {};
  if (method !== "GET") headers["Relay-Inspector"] = "1";
  if (body !== void 0) headers["Content-Type"] = "application/json";
  try {
    const early = method === "GET" && taken(url);
    if (early) return await early;
    const response = await fetch(url, { method, headers, signal, body: body === void 0 ? void 0 : JSON.stringify(body) });
    return { response, text: await response.text() };
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new ApiError("unreachable", "The server did not answer. Is it running, and is this machine connected to it?", 0);
  }
}
function getHere(path, query) {
  const text = takenHere(address(path, query));
  try {
    return text === void 0 ? void 0 : JSON.parse(text);
  } catch {
    return void 0;
  }
}
var get = (path, query, signal) => call("GET", path, { query, signal });
var post = (path, body = {}) => call("POST", path, { body });
var patch = (path, body) => call("PATCH", path, { body });
var remove = (path) => call("DELETE", path);
function sentence(message) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

// model/settings.js
function read(name2, fallback) {
  try {
    const text = localStorage.getItem(`relay.${name2}`);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}
function setting(name2, fallback) {
  const signal = new Signal(read(name2, fallback));
  signal.watch((value) => {
    try {
      localStorage.setItem(`relay.${name2}`, JSON.stringify(value));
    } catch {
    }
  });
  return signal;
}
var listShare = setting("list-share", 44);
var shortcuts = setting("shortcuts", true);
var hasSignedIn = setting("signed-in", false);
var notified = setting("notified", {});
var theme = new Signal(document.documentElement.dataset.theme ?? null);
function isDark() {
  return theme.value ? theme.value === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
function switchTheme() {
  const next = isDark() ? "light" : "dark";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  try {
    if (next === system) localStorage.removeItem("relay.theme");
    else localStorage.setItem("relay.theme", next);
  } catch {
  }
  if (next === system) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  theme.set(next === system ? null : next);
}

// model/live.js
var QUEUE_MAX = 4e3;
var SLEPT_MS = 4e4;
var HIDDEN_MS = 6e4;
var presence = new Signal({ phase: "connecting", since: Date.now() });
var listeners = /* @__PURE__ */ new Set();
var source = null;
var failures = 0;
var timer = 0;
var queue = [];
var missed = 0;
var isScheduled = false;
var awake = Date.now();
function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
function start() {
  stop();
  presence.set({ phase: "connecting", since: Date.now() });
  source = new EventSource(address("/events/stream"));
  source.onopen = () => {
    failures = 0;
    presence.set({ phase: "live", since: Date.now() });
    tell({ lines: [], isBack: true });
  };
  source.onmessage = ({ data }) => take(data);
  source.onerror = down;
}
function stop() {
  clearTimeout(timer);
  timer = 0;
  source?.close();
  source = null;
}
function down() {
  stop();
  const wait = Math.min(3e4, 1e3 * 2 ** failures) * (0.5 + Math.random() / 2);
  failures += 1;
  const since = presence.value.phase === "down" ? presence.value.since : Date.now();
  presence.set({ phase: "down", since, retryAt: Date.now() + wait });
  timer = setTimeout(start, wait);
  if (failures === 2) get("/whoami").catch(() => {
  });
}
function take(data) {
  let line;
  try {
    line = JSON.parse(data);
  } catch {
    line = { type: "gap", missed: 1 };
  }
  if (queue.length < QUEUE_MAX) queue.push(line);
  else missed += line.type === "gap" ? line.missed : 1;
  if (isScheduled) return;
  isScheduled = true;
  if (document.hidden) setTimeout(flush, 500);
  else requestAnimationFrame(flush);
}
function flush() {
  isScheduled = false;
  const lines = queue;
  queue = [];
  if (missed) lines.push({ type: "gap", missed });
  missed = 0;
  tell({ lines, isBack: false });
}
function tell(news) {
  for (const listener of [...listeners]) listener(news);
}
function retryNow() {
  if (presence.value.phase !== "live") start();
}
setInterval(() => {
  const slept = Date.now() - awake > SLEPT_MS;
  awake = Date.now();
  if (slept && source && !document.hidden) start();
}, 5e3);
addEventListener("online", retryNow);
var hiddenTimer = 0;
var isWatching = () => Object.values(notified.value).some((kinds) => Object.values(kinds).includes(true));
var rest = () => {
  if (!source && !timer) return;
  stop();
  presence.set({ phase: "resting", since: Date.now() });
};
var wake = () => {
  clearTimeout(hiddenTimer);
  if (presence.value.phase === "resting") start();
};
addEventListener("pagehide", rest);
addEventListener("pageshow", wake);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    hiddenTimer = setTimeout(() => isWatching() || rest(), HIDDEN_MS);
    return;
  }
  wake();
  if (isScheduled) flush();
  if (source === null && timer) retryNow();
});

// model/route.js
var PAGES = ["events", "overview", "sources", "deliveries", "agents", "tokens"];
function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page2, name2 = ""] = path.split("/");
  const params = new URLSearchParams(search);
  return {
    page: PAGES.includes(page2) ? page2 : page2 ? "nowhere" : "events",
    name: decode(name2),
    q: params.get("q") ?? "",
    params
  };
}
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
var route = new Signal(parse(location.hash));
addEventListener("hashchange", () => route.set(parse(location.hash)));
function link(page2, name2 = "", params = {}) {
  const said = Object.entries(params).filter(([, value]) => value);
  const search = new URLSearchParams(said).toString();
  return `#/${page2}${name2 && `/${encodeURIComponent(name2)}`}${search && `?${search}`}`;
}
function go(target, { replace = false } = {}) {
  if (target === location.hash) return;
  if (replace) {
    history.replaceState(null, "", target);
    route.set(parse(location.hash));
  } else {
    location.hash = target;
  }
}

// model/session.js
var session = new Signal({ phase: "asking" });
signedOut.watch((out) => {
  if (!out) return;
  forget();
  session.set({ phase: "out", was: session.value.phase === "in" });
});
async function begin() {
  try {
    const { token, program } = await get("/whoami");
    signedOut.set(false);
    session.set({ phase: "in", token, program, canSignOut: hasSignedIn.value });
  } catch (error) {
    forget();
    if (error instanceof ApiError && error.status === 401) session.set({ phase: "out", was: session.value.was });
    else session.set({ phase: "failed", error });
  }
}
async function signIn(token) {
  await post("/session", { token });
  hasSignedIn.set(true);
  await begin();
}
async function signOut() {
  await remove("/session");
  forget();
  hasSignedIn.set(false);
  session.set({ phase: "out" });
}
function whyNotManage(source2) {
  const token = session.value.token;
  if (!token || token.scope === "admin") return null;
  if (token.scope === "read") return "This token may only look (scope read).";
  if (!token.create) return "This token may serve its sources, and not manage them.";
  if (source2 && token.sources?.length && !token.sources.includes(source2)) return "This token is for other sources.";
  return null;
}
function whyNotAdmin() {
  return session.value.token?.scope === "admin" ? null : "It takes a token of scope admin.";
}

// model/format.js
var two = (n2) => String(n2).padStart(2, "0");
var three = (n2) => String(n2).padStart(3, "0");
function clock(iso) {
  const at = new Date(iso);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${three(at.getMilliseconds())}`;
}
function day(iso) {
  const at = new Date(iso);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}
function moment(iso) {
  if (!iso) return "";
  const time = clock(iso).slice(0, 8);
  return day(iso) === day(Date.now()) ? time : `${day(iso)} ${time}`;
}
function span(us) {
  if (us === null || us === void 0) return "";
  if (us < 1e3) return us === 0 ? "0 ms" : `${us} µs`;
  if (us < 1e4) return `${(us / 1e3).toFixed(1)} ms`;
  if (us < 1e6) return `${Math.round(us / 1e3)} ms`;
  if (us < 6e7) return `${(us / 1e6).toFixed(us < 1e7 ? 2 : 1)} s`;
  return `${Math.floor(us / 6e7)} min ${Math.round(us % 6e7 / 1e6)} s`;
}
var UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
function age(iso, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - new Date(iso)) / 1e3));
  const [size, unit] = UNITS.find(([size2]) => seconds >= size2) ?? UNITS.at(-1);
  return `${Math.floor(seconds / size)} ${unit}`;
}
function ago(iso) {
  return `${age(iso)} ago`;
}
function bytes(n2) {
  if (n2 < 1e3) return `${n2} B`;
  if (n2 < 1024 * 1e3) return `${(n2 / 1024).toFixed(n2 < 10240 ? 1 : 0)} KiB`;
  return `${(n2 / 1024 / 1024).toFixed(1)} MiB`;
}
var count = (n2) => String(n2).replace(/\B(?=(\d{3})+$)/g, ",");
var plural = (n2, one, many = `${one}s`) => `${count(n2)} ${n2 === 1 ? one : many}`;
function idMoment(id) {
  return [...id.slice(4, 13)].reduce((sum, digit) => sum * 32 + "0123456789abcdefghjkmnpqrstvwxyz".indexOf(digit), 0);
}
var UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
function pieces(text, { lines = false } = {}) {
  const out = [];
  let from = 0;
  const unseen = lines ? UNSEEN : new RegExp(`${UNSEEN.source}|[\\t\\n]`, "g");
  for (const match of text.matchAll(unseen)) {
    if (match.index > from) out.push([text.slice(from, match.index), false]);
    out.push([`\\u${match[0].charCodeAt(0).toString(16).padStart(4, "0")}`, true]);
    from = match.index + match[0].length;
  }
  if (from < text.length) out.push([text.slice(from), false]);
  return out;
}
var plain = (text) => pieces(text).map(([piece]) => piece).join("");

// parts/text.js
var ids = 0;
var nextId = () => `e${ids += 1}`;
var IS_PLAIN = /^[\x20-\x7e]*$/;
function Text({ text, lines }) {
  if (IS_PLAIN.test(text)) return text;
  const cut = pieces(String(text ?? ""), { lines });
  if (cut.length === 1 && !cut[0][1]) return cut[0][0];
  return cut.map(([piece, isEscaped]) => isEscaped ? fe`<span class="unseen" title="a character that cannot be seen">${piece}</span>` : piece);
}
var PATHS = {
  dot: fe`<circle cx="5" cy="5" r="3.5" fill="currentColor" />`,
  ring: fe`<circle cx="5" cy="5" r="3" fill="none" stroke="currentColor" stroke-width="1.5" />`,
  triangle: fe`<path d="M5 1 9.3 8.8H.7z" fill="currentColor" />`,
  square: fe`<rect x="1.5" y="1.5" width="7" height="7" fill="currentColor" />`,
  half: fe`<circle cx="5" cy="5" r="3.2" fill="none" stroke="currentColor" stroke-width="1.4" /><path d="M5 1.8a3.2 3.2 0 0 0 0 6.4z" fill="currentColor" />`,
  clock: fe`<circle cx="5" cy="5" r="3.6" fill="none" stroke="currentColor" stroke-width="1.3" /><path d="M5 2.8V5l1.5 1" fill="none" stroke="currentColor" stroke-width="1.2" />`,
  cross: fe`<path d="m2 2 6 6M8 2 2 8" stroke="currentColor" stroke-width="1.9" />`,
  dash: fe`<path d="M1.5 5h7" stroke="currentColor" stroke-width="1.7" />`,
  pin: fe`<path d="M3.2 1h3.6l-.5 3.2L8 6H2l1.7-1.8zM5 6v3.6" fill="currentColor" stroke="currentColor" stroke-width=".8" />`,
  note: fe`<path d="M1.5 1.5h7v4.7L6.2 8.5H1.5z" fill="none" stroke="currentColor" stroke-width="1.2" />`,
  down: fe`<path d="m2 3.5 3 3 3-3" fill="none" stroke="currentColor" stroke-width="1.4" />`,
  right: fe`<path d="m3.5 2 3 3-3 3" fill="none" stroke="currentColor" stroke-width="1.4" />`,
  left: fe`<path d="m6.5 2-3 3 3 3" fill="none" stroke="currentColor" stroke-width="1.4" />`
};
function Shape({ kind }) {
  return fe`<svg class="shape" viewBox="0 0 10 10" aria-hidden="true">${PATHS[kind]}</svg>`;
}
function Chip({ text, tone, shape }) {
  return a("span", { class: `chip ${tone} ${shape}` }, text);
}
function Trouble({ error, retry }) {
  if (!error) return null;
  return fe`<div class="trouble" role="alert">
    <${Shape} kind="triangle" />
    <span>${error.message}</span>
    ${retry && fe`<button type="button" onClick=${retry}>Try again</button>`}
  </div>`;
}

// parts/dialog.js
function Dialog({ title, onClose, wide, children, actions }) {
  const element = Q(null);
  const id = Q(nextId());
  K(() => {
    const dialog = element.current;
    const opener = document.activeElement;
    dialog.showModal();
    dialog.querySelector(".dialog-body :is(input, select, textarea), footer button")?.focus();
    return () => {
      dialog.close();
      if (opener?.isConnected && opener !== document.body) opener.focus();
      else document.querySelector("[data-home]")?.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return fe`<dialog ref=${element} class=${wide ? "dialog wide" : "dialog"} aria-labelledby=${id.current} onCancel=${cancel}>
    <header><h2 id=${id.current}>${title}</h2><button type="button" class="bare" aria-label="Close" onClick=${onClose}><${Shape} kind="cross" /></button></header>
    <div class="dialog-body">${children}</div>
    ${actions && fe`<footer>${actions}</footer>`}
  </dialog>`;
}
var question = new Signal(null);
var messages = new Signal([]);
var count2 = 0;
function ask({ title, text, confirm, danger = false, typed = null }) {
  return new Promise((resolve) => {
    question.set({ title, text, confirm, danger, typed, resolve });
  });
}
function say(text, { bad = false, action = null } = {}) {
  const id = count2 += 1;
  messages.set([...messages.value.slice(-3), { id, text, bad, action }]);
  if (!bad) setTimeout(() => unsay(id), action ? 1e4 : 5e3);
}
var unsay = (id) => messages.set(messages.value.filter((message) => message.id !== id));
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message, { bad: true });
    return null;
  }
}
function Question({ title, text, confirm, danger, typed, resolve }) {
  const [word, setWord] = G("");
  const answer = (yes) => {
    question.set(null);
    resolve(yes);
  };
  const first = Q(null);
  J(() => first.current?.focus(), []);
  const actions = fe`
    <button type="button" ref=${typed ? null : first} onClick=${() => answer(false)}>Keep it</button>
    <button type="submit" form="question" class=${danger ? "danger" : "primary"} disabled=${typed !== null && word !== typed}>${confirm}</button>`;
  return fe`<${Dialog} title=${title} onClose=${() => answer(false)} actions=${actions}>
    <form id="question" onSubmit=${(event) => {
    event.preventDefault();
    answer(true);
  }}>
      <p>${text}</p>
      ${typed !== null && fe`<label class="field"><span>Type <code>${typed}</code> to confirm</span>
        <input ref=${first} value=${word} autocomplete="off" spellcheck=${false} onInput=${(event) => setWord(event.target.value)} /></label>`}
    </form>
  <//>`;
}
function Host() {
  const asked2 = useSignal(question);
  const said = useSignal(messages);
  const box = Q(null);
  K(() => {
    if (box.current.matches(":popover-open")) box.current.hidePopover();
    if (said.length) box.current.showPopover();
  }, [said]);
  return fe`
    ${asked2 && fe`<${Question} key=${asked2.title} ...${asked2} />`}
    <div class="messages" role="status" aria-live="polite" popover="manual" ref=${box}>
      ${said.map(({ id, text, bad, action }) => fe`<div key=${id} class=${bad ? "message bad" : "message"}>
        ${bad && fe`<${Shape} kind="triangle" />`}
        <span>${text}</span>
        ${action && fe`<button type="button" onClick=${() => {
    unsay(id);
    action.run();
  }}>${action.label}</button>`}
        <button type="button" class="bare" aria-label="Close this message" onClick=${() => unsay(id)}><${Shape} kind="cross" /></button>
      </div>`)}
    </div>`;
}

// parts/keys.js
var layers = [];
var isChord = false;
var chordTimer = 0;
function useKeys(map) {
  const layer = Q({ map });
  layer.current.map = map;
  J(() => {
    const mine = layer.current;
    layers.push(mine);
    return () => layers.splice(layers.indexOf(mine), 1);
  }, []);
}
var isTyping = (target) => target.matches?.("input:not([type=checkbox]):not([type=radio]), textarea, select");
addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
  const isLetter = event.key.length === 1;
  if (isLetter && event.key !== "?" && !shortcuts.value) return;
  if ((event.key === "Enter" || event.key === " ") && event.target !== document.body) return;
  const key = isChord ? `g ${event.key}` : event.key;
  if (!isChord && key === "g") {
    isChord = true;
    chordTimer = setTimeout(() => isChord = false, 1500);
    return;
  }
  clearTimeout(chordTimer);
  isChord = false;
  for (const { map } of [...layers].reverse()) {
    const action = map[key];
    if (action && action(event) !== false) {
      event.preventDefault();
      return;
    }
  }
});

// parts/lazy.js
var views = null;
var more = async () => views ??= await import("./more.js");
var preload = () => more().catch(() => {
});
function lazy(name2) {
  function Lazy(props) {
    const [error, setError] = G(null);
    const [late, draw] = G(0);
    const view = views?.[name2];
    const again = () => {
      setError(null);
      more().then(() => draw(1), () => setError({ message: "A part of this page could not be loaded. Is the server running? If trying again does not help, reload the page." }));
    };
    J(() => {
      if (!view) again();
    }, []);
    J(() => {
      if (late) props.onReady?.();
    }, [late]);
    if (view) return fe`<${view} ...${props} />`;
    if (error) return fe`<div class="unloaded"><${Trouble} error=${error} retry=${again} />${props.onClose && fe`<button type="button" onClick=${props.onClose}>Close</button>`}</div>`;
    return fe`<p class="dim loading" role="status">Loading…</p>`;
  }
  return Lazy;
}
var whenIdle = (work) => window.requestIdleCallback ? requestIdleCallback(work, { timeout: 2e3 }) : setTimeout(work, 300);

// parts/presence.js
function Presence() {
  const { phase, since, retryAt } = useSignal(presence);
  const [, tick] = G(0);
  J(() => {
    if (phase !== "down") return void 0;
    const timer2 = setInterval(() => tick((n2) => n2 + 1), 1e3);
    return () => clearInterval(timer2);
  }, [phase]);
  if (phase === "live") return fe`<span class="presence good" role="status"><${Shape} kind="dot" /><span>Live</span></span>`;
  if (phase === "connecting" || phase === "resting") return fe`<span class="presence" role="status"><${Shape} kind="ring" /><span>Connecting…</span></span>`;
  const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1e3));
  return fe`<span class="presence bad"><${Shape} kind="triangle" /><span role="status">Not live since ${moment(since)}</span>
    <span class="presence-next">next try in ${left} s</span><button type="button" class="small" onClick=${retryNow}>Try now</button></span>`;
}

// model/event-list.js
var ROWS_MAX = 1e5;
var FIRST_PAGE = 50;
var PAGE = 100;
var EMPTY_CALLS_MAX = 5;
var FILL_PAGES_MAX = 5;
var FILL_GAPS_MAX = 4;
var CALM_MS = 1500;
var STATES = ["delivered", "cancelled", "leased", "waiting", "dead"];
function change(row, fields) {
  const others = Object.keys(fields).filter((key) => row[key] !== fields[key]);
  if (!others.length) return false;
  for (const key of others) row[key] = fields[key];
  row.version = (row.version ?? 0) + 1;
  return true;
}
var gapId = (id) => `${id}~`;
var EventList = class {
  rows = [];
  #byId = /* @__PURE__ */ new Map();
  next = void 0;
  isLoading = false;
  error = null;
  isFilling = false;
  /** Unix milliseconds: how far back the server has looked; null: to the beginning. */
  reach = void 0;
  #abort = new AbortController();
  #refreshTimer = 0;
  #fillTimer = 0;
  /** Gap rows to be filled unasked, and those that are to be filled now. */
  #fresh = [];
  #wanted = [];
  /** Up to this id everything is here, or has its gap row, or is owed; "": nothing. The stream goes on from here. */
  #told = "";
  /** Ids newer than that where fetched rows end, with a way to them that the stream has yet to bring. */
  #islands = [];
  /** Ids after which something may be missing; "": at all. Fetched when there is time, all in one. */
  #owed = [];
  /** The newest rows are being fetched: what is missing meanwhile, as `#settle` takes it, waits for where they end. */
  #isFetchingNewest = false;
  #holes = [];
  /** Rows that came or changed in a fetch. */
  #changes = 0;
  /** `isPlain`: the query is empty, so whatever the stream brings belongs here. */
  constructor(query, onChange) {
    this.query = query;
    this.isPlain = query.trim() === "";
    this.onChange = onChange;
    const first = getHere("/events", { q: this.query.trim(), limit: FIRST_PAGE });
    if (first) this.#takePage(first);
  }
  end() {
    this.#abort.abort();
    clearTimeout(this.#refreshTimer);
    clearTimeout(this.#fillTimer);
  }
  /** Row `index` as shown: the newest is 0. */
  at(index) {
    return this.rows[this.rows.length - 1 - index];
  }
  get size() {
    return this.rows.length;
  }
  indexOf(id) {
    const at = this.#place(id);
    return this.rows[at]?.id === id ? this.rows.length - 1 - at : -1;
  }
  byId(id) {
    return this.#byId.get(id);
  }
  /** Where a row of this id is or would be: ids sort by time. */
  #place(id) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = low + high >> 1;
      if (this.rows[middle].id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  /** Takes one row in. True when it is new. */
  #put(row) {
    const known = this.#byId.get(row.id);
    if (known) {
      if (change(known, row)) this.#changes += 1;
      return false;
    }
    this.#changes += 1;
    this.#byId.set(row.id, row);
    const last = this.rows.at(-1);
    if (!last || last.id < row.id) this.rows.push(row);
    else this.rows.splice(this.#place(row.id), 0, row);
    return true;
  }
  #trim() {
    let extra = this.rows.length - ROWS_MAX;
    if (extra < 2e3) return;
    while (this.rows[extra].gap) extra += 1;
    for (const row of this.rows.splice(0, extra)) this.#byId.delete(row.id);
    this.#reachTo(this.rows[0].id);
  }
  /** What the stream brought. Gives how many rows are new. */
  take(lines) {
    let fresh = 0;
    for (const line of lines) {
      if (line.type === "delivery") this.#follow(line);
      else if (line.type === "gap") this.#gap(line.missed);
      else if (line.type === "event") fresh += this.#arrive(line);
    }
    this.#trim();
    this.onChange();
    return fresh;
  }
  #arrive({ type: _2, ...event }) {
    if (this.isPlain) this.#tellTo(event.id);
    const known = this.#byId.get(event.id);
    if (known) {
      change(known, event);
      return 0;
    }
    if (!this.isPlain) {
      this.refreshSoon();
      return 0;
    }
    return this.#put({ pinned: false, note: null, late: null, ...event }) ? 1 : 0;
  }
  #follow({ event, id, state }) {
    const row = this.#byId.get(event);
    if (!row) return;
    row.states ??= /* @__PURE__ */ new Map();
    row.states.set(id, state);
    const listed = row.late === "dead" || row.late === "cancelled" ? [row.late] : [];
    const late = [...listed, ...row.states.values()].reduce((worst, one) => STATES.indexOf(one) > STATES.indexOf(worst) ? one : worst);
    change(row, { late });
  }
  /** A query only the server understands: ask it for what is new, at most once a second. */
  refreshSoon() {
    if (this.#refreshTimer) return;
    this.#refreshTimer = setTimeout(async () => {
      this.#refreshTimer = 0;
      this.fallBehind();
      await this.catchUp();
    }, 1e3);
  }
  #tellTo(id) {
    if (id > this.#told) this.#told = id;
    this.#islands = this.#islands.filter((end) => end > this.#told);
  }
  /** What came until now, after what was told, may be missing. Without delay: what comes next hides it. */
  fallBehind() {
    this.#miss(null);
  }
  /** `missed` (null: nobody knows how many) came after what was told, and are not here. */
  #miss(missed2) {
    const ends = [this.#told, ...this.#islands];
    if (this.next === void 0 || this.#isFetchingNewest) this.#holes.push({ ends, missed: missed2 });
    else this.#settle(ends, missed2);
  }
  #settle(ends, missed2) {
    if (missed2 === null || !ends[0]) {
      this.#owed = [.../* @__PURE__ */ new Set([...this.#owed, ...ends])].sort();
      return;
    }
    for (const id of ends) {
      this.#putGap(id, ends.length > 1 ? null : missed2);
      this.#fillSoon(gapId(id));
    }
  }
  /** The newest rows were fetched: those from `from` to `newest` are here. What was missing may be among them. */
  #landed(from, newest) {
    for (const { ends, missed: missed2 } of this.#holes.splice(0)) {
      const left = ends.filter((end) => !(from <= end && end < newest));
      if (ends.some((end) => end < newest)) left.push(newest);
      this.#settle(left, missed2);
    }
    if (from <= this.#told) this.#tellTo(newest);
    else if (newest) this.#islands.push(newest);
  }
  #gap(missed2) {
    if (this.isPlain && this.#told) return this.#miss(missed2);
    this.fallBehind();
    this.refreshSoon();
  }
  /** A row that says that `missed` rows are missing after that of `id`, if it is not forgotten. */
  #putGap(id, missed2, trouble = null) {
    if (!this.#byId.has(id)) return;
    const known = this.#byId.get(gapId(id));
    const all = known && (known.missed === null || missed2 === null ? null : known.missed + missed2);
    if (known) change(known, { missed: all, trouble });
    else this.#put({ id: gapId(id), gap: true, missed: missed2, trouble });
  }
  /** While more comes than can be shown, fetching it would only add to that: gaps are filled once there are no new ones. */
  #fillSoon(id) {
    this.#fresh.push(id);
    clearTimeout(this.#fillTimer);
    this.#fillTimer = setTimeout(() => {
      this.#wanted.push(...this.#fresh.splice(0).slice(-FILL_GAPS_MAX));
      this.catchUp();
    }, CALM_MS);
  }
  /** Fetches what belongs at a gap row; it goes when all of it is there. */
  fillGap(id) {
    this.#wanted.push(id);
    return this.catchUp();
  }
  /** Fetches what may be missing. One thing at a time: whatever is under way comes back here at its end. */
  async catchUp() {
    while (!this.isFilling && !this.isLoading && this.next !== void 0 && !this.#abort.signal.aborted) {
      if (this.#owed.length) {
        if (!await this.#fillOwed(this.#owed.splice(0))) return;
      } else if (this.#wanted.length) {
        const gap = this.#byId.get(this.#wanted.pop());
        if (gap) await this.#fillAt(gap);
      } else return;
    }
  }
  /** Tries again what failed. */
  async again() {
    this.error = null;
    this.onChange();
    if (this.#owed.length) await this.catchUp();
    else await this.older();
  }
  /** Fetches what is missing after each of `owed`; where that is too much to do unasked, a gap row stays. False: it is owed still. */
  async #fillOwed(owed) {
    const changes = this.#changes;
    const { newest, reached, error } = await this.#fill(null, owed[0]);
    if (error?.name === "AbortError") return false;
    const left = owed.filter((id) => reached === void 0 || id < reached);
    this.error = null;
    if (error && !(this.isPlain && owed[0])) {
      this.#owed.unshift(...left);
      this.error = error;
    } else {
      for (const id of left) this.#putGap(id, null, error?.message);
      if (left[0] === "") this.#reachTo(reached);
    }
    this.#landed(reached, newest);
    if (this.error || this.#changes !== changes) this.onChange();
    return !this.error;
  }
  async #fillAt(gap) {
    this.isFilling = true;
    change(gap, { trouble: null });
    this.onChange();
    const at = this.#place(gap.id);
    const [above, below] = [this.rows[at + 1], this.rows[at - 1]];
    const { newest, reached, error, fresh } = await this.#fill(above?.id ?? null, below.id);
    if (error?.name === "AbortError") return;
    const isMet = reached <= gap.id;
    if (isMet) this.#forget(gap.id);
    else {
      const missed2 = gap.missed === null ? null : Math.max(0, gap.missed - fresh);
      change(gap, { missed: missed2 || null, trouble: error?.message ?? null });
    }
    if (above === void 0) this.#landed(isMet ? below.id : reached, newest);
    this.onChange();
  }
  /**
   * Fetches the rows before `before` (null: the newest), back to `until`, or some pages of them. Gives the `newest` id
   * that came, `reached`: from this id on nothing is missing ("": at all; undefined: nothing came), the `error` that
   * ended it, and how many rows are `fresh`. What was missed meanwhile is to be settled after it.
   */
  async #fill(before, until) {
    this.isFilling = true;
    this.#isFetchingNewest = before === null;
    const got = { newest: "", reached: void 0, error: null, fresh: 0 };
    try {
      for (let page2 = 0; page2 < FILL_PAGES_MAX && !(got.reached <= until); page2 += 1) {
        const { events, next } = await this.#page(got.reached ?? before, 200);
        got.newest ||= events[0]?.id ?? "";
        for (const event of events) if (!this.next || event.id >= this.next) got.fresh += this.#put(event) ? 1 : 0;
        got.reached = !next || this.next && next <= this.next ? "" : next;
      }
    } catch (error) {
      got.error = error;
    }
    this.isFilling = false;
    this.#isFetchingNewest = false;
    return got;
  }
  #forget(id) {
    const at = this.#place(id);
    if (this.rows[at]?.id === id) this.rows.splice(at, 1);
    this.#byId.delete(id);
    this.#changes += 1;
  }
  /** How far back the server has looked: before this id; null: to the beginning. */
  #reachTo(next) {
    this.next = next;
    this.reach = next ? idMoment(next) : null;
  }
  #page(before, limit) {
    return get("/events", { q: this.query.trim(), limit, before }, this.#abort.signal);
  }
  /** Fetches older rows. Pages may be empty where the server looks for rare ones: it goes on for a while, then asks. */
  async older() {
    if (this.isLoading || this.next === null) return;
    this.isLoading = true;
    this.error = null;
    this.onChange();
    try {
      for (let calls = 0; calls < EMPTY_CALLS_MAX; calls += 1) {
        const { events, next } = this.#takePage(await this.#page(this.next, this.next === void 0 ? FIRST_PAGE : PAGE));
        if (events.length || !next) break;
        this.onChange();
      }
    } catch (error) {
      if (error.name !== "AbortError") this.error = error;
    } finally {
      this.isLoading = false;
      this.onChange();
    }
    await this.catchUp();
  }
  #takePage(page2) {
    const isFirst = this.rows.length === 0;
    const isNewest = this.next === void 0;
    const older = page2.events.filter((event) => !this.#byId.has(event.id)).reverse();
    for (const event of older) this.#byId.set(event.id, event);
    if (isFirst || older.length && older.at(-1).id < this.rows[0].id) this.rows = older.concat(this.rows);
    else for (const event of older) this.#insert(event);
    this.#reachTo(page2.next);
    if (isNewest) this.#landed("", page2.events[0]?.id ?? "");
    return page2;
  }
  #insert(event) {
    this.rows.splice(this.#place(event.id), 0, event);
  }
  /** A change of a row that the reader made (pin, note). */
  amend(event) {
    const row = this.#byId.get(event.id);
    if (row) change(row, { pinned: event.pinned, note: event.note });
    this.onChange();
  }
};

// model/search.js
var TERM = /(-?)(?:([a-z_]+):)?("(?:[^"\\]|\\.)*"?|[^\s"]\S*|$)/gi;
var KEYS = [
  ["source", "through which source it came", "source:github"],
  ["status", "what the sender was told", "status:5xx|404"],
  ["outcome", "what happened", "outcome:not_sent"],
  ["event", "the provider's name for it", "event:invoice.*"],
  ["delivery", "state of a delivery", "delivery:dead"],
  ["method", "HTTP method", "method:POST"],
  ["path", "path and query as sent", "path:/h/shop/*"],
  ["body", "text in the body", 'body:"order_17"'],
  ["header", "text in the header", 'header:"x-test"'],
  ["signature", "verified, refused or none", "signature:refused"],
  ["since", "not older than", "since:2h"],
  ["until", "not newer than", "until:2026-11-22T10:00"],
  ["pinned", "pinned ones only", "pinned:yes"],
  ["note", "text in the note", 'note:"ask Ann"']
];
var VALUES = {
  method: ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD"],
  status: ["2xx", "3xx", "4xx", "5xx", "200", "202", "401", "404", "500", "502", "503", "504"],
  outcome: ["answered", "accepted", "not_sent", "sent_no_answer", "refused", "duplicate", "greeted"],
  delivery: ["waiting", "leased", "delivered", "dead", "cancelled"],
  signature: ["verified", "refused", "none"],
  since: ["15m", "1h", "2h", "24h", "7d"],
  pinned: ["yes"]
};
function terms(query) {
  const out = [];
  for (const match of query.matchAll(TERM)) {
    const text = match[0];
    if (!text) continue;
    const value = match[3].replace(/^"((?:[^"\\]|\\.)*)"?$/, "$1");
    out.push({ text, from: match.index, to: match.index + text.length, isNegated: match[1] === "-", key: match[2]?.toLowerCase() ?? null, value });
  }
  return out;
}
function without(query, term) {
  return `${query.slice(0, term.from)} ${query.slice(term.to)}`.replace(/\s+/g, " ").trim();
}
function withKey(query, key, value) {
  const rest2 = terms(query).filter((term) => term.key !== key || term.isNegated).map((term) => term.text);
  return [...rest2, ...value ? [`${key}:${/\s/.test(value) ? `"${value}"` : value}`] : []].join(" ");
}
function complete(query, caret, sources) {
  const from = query.slice(0, caret).search(/\S*$/);
  const word = query.slice(from, caret);
  const to = caret + query.slice(caret).search(/\s|$/);
  const [, dash, key, typed] = /^(-?)(?:([a-z_]+):)?(.*)$/i.exec(word);
  if (!key) {
    if (!typed && !dash) return { from, to, choices: [] };
    const choices2 = KEYS.filter(([name2]) => name2.startsWith(typed.toLowerCase()) && name2 !== typed).map(([name2, about, sample]) => ({ insert: `${dash}${name2}:`, label: `${dash}${name2}:`, about: `${about}, as ${sample}` }));
    return { from, to, choices: choices2 };
  }
  const values = key === "source" ? sources : VALUES[key] ?? [];
  const last = typed.split("|").pop().toLowerCase();
  const before = word.slice(0, word.length - last.length);
  const choices = values.filter((value) => value.toLowerCase().startsWith(last) && value.toLowerCase() !== last).slice(0, 12).map((value) => ({ insert: `${before}${value} `, label: value, about: "" }));
  return { from, to, choices };
}
function bulkFilter(query, now = Date.now()) {
  const filter = {};
  const left = [];
  let source2 = null;
  for (const term of terms(query)) {
    const isSimple = !term.isNegated && !term.value.includes("|");
    const time = () => moment2(term.value, now);
    if (isSimple && term.key === "source") source2 = term.value;
    else if (isSimple && term.key === "delivery") filter.state = term.value;
    else if (isSimple && ["method", "status", "outcome"].includes(term.key)) filter[term.key] = term.value;
    else if (isSimple && ["since", "until"].includes(term.key) && time()) filter[term.key] = time();
    else left.push(term.text);
  }
  return { source: source2, filter, left };
}
function moment2(value, now) {
  const relative = /^(\d+)(s|m|h|d)$/.exec(value);
  if (relative) return new Date(now - relative[1] * { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[relative[2]]).toISOString();
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

// parts/ask-api.js
function useAnswer(load, keys, { every = 0, here: here2 } = {}) {
  const [state, setState] = G(() => {
    const value = here2?.() ?? null;
    return { value, error: null, isLoading: value === null };
  });
  const isFirst = Q(true);
  const latest = Q(load);
  latest.current = load;
  const controller = Q(null);
  const again = Z(async () => {
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    try {
      const value = await latest.current(mine.signal);
      if (!mine.signal.aborted) setState({ value, error: null, isLoading: false });
    } catch (error) {
      if (!mine.signal.aborted) setState(({ value }) => ({ value, error, isLoading: false }));
    }
  }, []);
  J(() => {
    if (!isFirst.current) setState({ value: null, error: null, isLoading: true });
    if (!isFirst.current || state.value === null) again();
    isFirst.current = false;
    return () => controller.current?.abort();
  }, keys);
  J(() => {
    if (!every) return void 0;
    const timer2 = setInterval(() => document.hidden || again(), every);
    const seen = () => document.hidden || again();
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer2);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [every]);
  return { ...state, again };
}

// parts/controls.js
async function copy(text, what = "Copied.") {
  try {
    await navigator.clipboard.writeText(text);
    say(what);
  } catch {
    say("The browser did not allow copying. Select the text and copy it by hand.", { bad: true });
  }
}
function CopyButton({ text, label = "Copy", what }) {
  return fe`<button type="button" class="small" onClick=${() => copy(text, what)}>${label}</button>`;
}
function CopyLine({ text, label }) {
  return fe`<div class="copy-line"><code tabindex="0" aria-label=${label}>${text}</code><${CopyButton} text=${text} label="Copy" what=${`${label} copied.`} /></div>`;
}
function Menu({ label, items, align = "start", plain: plain2 }) {
  const [isOpen, setOpen] = G(false);
  const root = Q(null);
  const button = Q(null);
  J(() => {
    if (!isOpen) return void 0;
    root.current.querySelector("[role=menuitem]")?.focus();
    const away = (event) => {
      if (!root.current.contains(event.target)) setOpen(false);
    };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    button.current.focus();
  };
  const onKeyDown = (event) => {
    const entries = [...root.current.querySelectorAll("[role=menuitem]")];
    const at = entries.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) entries[(at + step + entries.length) % entries.length]?.focus();
    else if (event.key === "Home") entries[0]?.focus();
    else if (event.key === "End") entries.at(-1)?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") return setOpen(false);
    else return void 0;
    event.preventDefault();
    return event.stopPropagation();
  };
  return fe`<span class="menu" ref=${root}>
    <button type="button" ref=${button} class=${plain2 ? "bare" : ""} aria-haspopup="menu" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${label}<${Shape} kind="down" /></button>
    ${isOpen && fe`<span class="menu-items ${align}" role="menu" onKeyDown=${onKeyDown}>
      ${items.filter(Boolean).map((item) => fe`<button type="button" role="menuitem" tabindex="-1" class=${item.danger ? "danger-text" : ""} aria-disabled=${Boolean(item.why)} title=${item.why ?? ""}
        onClick=${() => {
    if (item.why) return;
    close();
    item.run();
  }}>${item.label}${item.why && fe`<small>${item.why}</small>`}</button>`)}
    </span>`}
  </span>`;
}
function Tabs({ tabs, current, onChange, label }) {
  const row = Q(null);
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = tabs.findIndex(({ id }) => id === current);
    const next = (at + step + tabs.length) % tabs.length;
    onChange(tabs[next].id);
    row.current.children[next].focus();
  };
  return fe`<div class="tabs" role="tablist" aria-label=${label} ref=${row} onKeyDown=${onKeyDown}>
    ${tabs.map((tab) => fe`<button type="button" role="tab" id=${`tab-${tab.id}`} aria-controls="tab-panel" aria-selected=${tab.id === current} tabindex=${tab.id === current ? 0 : -1} onClick=${() => onChange(tab.id)}>${tab.label}</button>`)}
  </div>`;
}
function Segments({ choices, current, onChange, label }) {
  return fe`<span class="segments" role="group" aria-label=${label}>
    ${choices.map(([id, text]) => fe`<button type="button" class="small" aria-pressed=${id === current} onClick=${() => onChange(id)}>${text}</button>`)}
  </span>`;
}
function Field({ label, help, error, control }) {
  const id = Q(nextId()).current;
  const described = [help && `${id}h`, error && `${id}x`].filter(Boolean).join(" ");
  return fe`<div class="field">
    <label for=${id}>${label}</label>
    ${control({ id, "aria-describedby": described || void 0, "aria-invalid": error ? "true" : void 0 })}
    ${help && fe`<small id=${`${id}h`}>${help}</small>`}
    ${error && fe`<small id=${`${id}x`} class="bad" role="alert">${error}</small>`}
  </div>`;
}
function PageHead({ title, children, about }) {
  K(() => {
    document.title = `${title} · Inspector`;
  }, [title]);
  return fe`<header class="page-head"><div><h1 tabindex="-1" data-home>${title}</h1>${about && fe`<p>${about}</p>`}</div><div class="actions">${children}</div></header>`;
}
function Button({ why, onClick, class: kind, children, ...rest2 }) {
  return fe`<button type="button" class=${kind ?? ""} ...${rest2} aria-disabled=${why ? "true" : void 0} title=${why ?? rest2.title} onClick=${(event) => {
    if (why) say(why, { bad: true });
    else onClick(event);
  }}>${children}</button>`;
}

// parts/divider.js
var MIN = 24;
var MAX = 72;
function Divider({ share, label }) {
  const now = useSignal(share);
  const set = (value) => share.set(Math.round(Math.max(MIN, Math.min(MAX, value))));
  const onPointerDown = (event) => {
    const handle = event.currentTarget;
    const box = handle.parentElement.getBoundingClientRect();
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (move) => set((move.clientX - box.left) / box.width * 100);
    handle.onpointerup = () => {
      handle.onpointermove = null;
    };
    event.preventDefault();
  };
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
    if (!step) return;
    set(now + step);
    event.preventDefault();
  };
  return fe`<div class="divider" role="separator" tabindex="0" aria-orientation="vertical" aria-label=${label} aria-valuenow=${now} aria-valuemin=${MIN} aria-valuemax=${MAX} onPointerDown=${onPointerDown} onKeyDown=${onKeyDown}></div>`;
}

// parts/rows.js
var OVERSCAN = 6;
function Rows({ label, columns, size, height, headHeight, tall, active, rowId, row, head, foot, onScrolled, onEnd, onMove, onOpen, onWidth, onTouch }) {
  const box = Q(null);
  const [view, setView] = G({ top: 0, tall, overscan: 0 });
  const asked2 = Q(false);
  const place = Q(0);
  const isHidden = Q(false);
  K(() => {
    const element = box.current;
    const measure = new ResizeObserver(() => {
      const wasHidden = isHidden.current;
      isHidden.current = element.clientWidth === 0;
      if (isHidden.current) return;
      if (wasHidden) element.scrollTop = place.current;
      setView((was) => fits(was.tall, element.clientHeight, height) ? was : { ...was, tall: element.clientHeight });
      onWidth(element.clientWidth);
    });
    measure.observe(element);
    whenIdle(() => setView((was) => ({ ...was, overscan: OVERSCAN })));
    return () => measure.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(view.top / height) - view.overscan);
  const last = Math.min(size, Math.ceil((view.top + view.tall - headHeight) / height) + view.overscan);
  J(() => {
    if (last > size - 20) onEnd();
  }, [last, size]);
  K(() => {
    if (active < 0) return;
    const element = box.current;
    if (isHidden.current) return;
    const top = active * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + element.clientHeight - 8) element.scrollTop = top + height - element.clientHeight + 8;
  }, [rowId(active)]);
  const onScroll = () => {
    if (asked2.current) return;
    asked2.current = true;
    requestAnimationFrame(() => {
      asked2.current = false;
      if (!box.current || isHidden.current) return;
      const top = box.current.scrollTop;
      place.current = top;
      setView((was) => ({ ...was, top, overscan: OVERSCAN }));
      onScrolled(top < 2);
    });
  };
  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page2 = Math.max(1, Math.floor(box.current.clientHeight / height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page2, PageUp: -page2, Home: -size, End: size };
    if (event.key in steps) onMove(Math.max(0, Math.min(size - 1, active + steps[event.key])));
    else if (event.key === "Enter" && active >= 0) onOpen(active, event);
    else return;
    event.preventDefault();
  };
  const slots = Math.ceil(view.tall / height) + 2 * OVERSCAN + 2;
  const shown = new Array(slots).fill(null);
  for (let index = first; index < last; index += 1) shown[(size - 1 - index) % slots] = row(index, index * height);
  return fe`<div class="rows" role="grid" aria-label=${label} aria-rowcount=${size + 1} aria-colcount=${columns} tabindex="0" data-home ref=${box}
      aria-activedescendant=${active >= first && active < last ? rowId(active) : void 0} onScroll=${onScroll} onKeyDown=${onKeyDown} onPointerMove=${onTouch}>
    ${head}
    <div class="rows-space" role="rowgroup" style=${{ height: `${size * height}px` }}>${shown}</div>
    ${foot}
  </div>`;
}
var fits = (guess, real, height) => guess >= real && guess < real + 4 * height;

// parts/search-field.js
var Help = lazy("SearchHelp");
var REST_MS = 250;
function SearchField({ query, onQuery, error, sources, fieldRef }) {
  const [text, setText] = G(query);
  const [choices, setChoices] = G({ from: 0, to: 0, choices: [] });
  const [at, setAt] = G(-1);
  const [isHelp, setHelp] = G(false);
  const timer2 = Q(0);
  const id = Q(nextId()).current;
  const asked2 = Q(query.trim());
  const tell2 = Q(onQuery);
  tell2.current = onQuery;
  const ask2 = (value) => {
    clearTimeout(timer2.current);
    asked2.current = value.trim();
    tell2.current(value);
  };
  K(() => () => clearTimeout(timer2.current), []);
  K(() => {
    if (query.trim() === asked2.current) return;
    clearTimeout(timer2.current);
    asked2.current = query.trim();
    setText(query);
  }, [query]);
  const close = () => {
    setChoices({ from: 0, to: 0, choices: [] });
    setAt(-1);
  };
  const change2 = (value, caret, isDone) => {
    setText(value);
    setAt(-1);
    setChoices(complete(value, caret, sources));
    clearTimeout(timer2.current);
    if (isDone) ask2(value);
    else timer2.current = setTimeout(() => ask2(value), REST_MS);
  };
  const choose = ({ insert }) => {
    const value = text.slice(0, choices.from) + insert + text.slice(choices.to).trimStart();
    const caret = choices.from + insert.length;
    change2(value, caret, insert.endsWith(" "));
    const field = fieldRef.current;
    field.focus();
    requestAnimationFrame(() => field.setSelectionRange(caret, caret));
  };
  const onKeyDown = (event) => {
    const list = choices.choices;
    if (list.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      setAt((at + (event.key === "ArrowDown" ? 1 : -1) + list.length + (at < 0 && event.key === "ArrowUp" ? 1 : 0)) % list.length);
    } else if (list.length && (event.key === "Tab" || event.key === "Enter") && at >= 0) choose(list[at]);
    else if (event.key === "Enter") {
      close();
      ask2(text);
    } else if (event.key === "Escape") {
      if (list.length) close();
      else document.querySelector(".rows")?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const options = choices.choices;
  const isOpen = options.length > 0;
  return fe`<div class="search" role="search">
    <div class="search-box">
      <svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 3.5 3.5" /></svg>
      <input ref=${fieldRef} type="text" role="combobox" aria-label="Search events" aria-expanded=${isOpen} aria-controls=${id} aria-autocomplete="list" aria-activedescendant=${at >= 0 ? `${id}-${at}` : void 0}
        aria-invalid=${error ? "true" : void 0} aria-describedby=${error ? `${id}x` : void 0}
        autocomplete="off" autocapitalize="off" spellcheck=${false} placeholder="Search: words, status:5xx, source:…" value=${text}
        onInput=${(event) => change2(event.target.value, event.target.selectionStart)} onKeyDown=${onKeyDown} onBlur=${() => setTimeout(close, 150)} />
      ${text && fe`<button type="button" class="bare" aria-label="Clear the search" onClick=${() => {
    change2("", 0, true);
    fieldRef.current.focus();
  }}><${Shape} kind="cross" /></button>`}
      <button type="button" class="bare search-help" aria-haspopup="dialog" onClick=${() => setHelp(true)}>How to search</button>
    </div>
    <ul class="choices" role="listbox" id=${id} aria-label="Completions" hidden=${!isOpen}>
      ${options.map((choice, index) => fe`<li role="option" id=${`${id}-${index}`} aria-selected=${index === at} onPointerDown=${(event) => {
    event.preventDefault();
    choose(choice);
  }}><code>${choice.label}</code><span>${choice.about}</span></li>`)}
    </ul>
    ${error && fe`<p class="search-error" id=${`${id}x`} role="alert"><${Shape} kind="triangle" /><${Text} text=${error.message.replace(/^q: /i, "")} /></p>`}
    ${isHelp && fe`<${Help} onClose=${() => setHelp(false)} />`}
  </div>`;
}
function Filters({ query, onQuery }) {
  const active = terms(query);
  if (!active.length) return null;
  return fe`<div class="filters" role="group" aria-label="Active filters">
    ${active.map((term) => fe`<button type="button" class="filter" onClick=${() => onQuery(without(query, term))}>
      ${term.isNegated && fe`<b>not </b>`}${term.key && fe`<span>${term.key}</span>`}<${Text} text=${term.value} /><span class="unseen-title">, remove</span><${Shape} kind="cross" /></button>`)}
    <button type="button" class="bare small" onClick=${() => onQuery("")}>Clear all</button>
  </div>`;
}

// model/words.js
var REASONS = {
  agent_away: "no agent served the destination",
  agent_full: "every agent had as many requests in flight as it may",
  app_refused: "nothing listens where the agent forwards to",
  app_broke: "the app closed the connection, or answered something that is not HTTP",
  app_slow: "the app did not answer in time",
  answer_broke: "the app's answer broke off",
  request_broke: "the request broke off on its way",
  link_lost: "the link to the agent was lost",
  relay_stopped: "the relay stopped while it was under way",
  sender_gone: "the sender hung up",
  unasked_switch: "the app switched protocols unasked",
  request_refused: "no such request can be made to a URL",
  body_unreadable: "its stored body cannot be read",
  event_unreadable: "the stored event cannot be read",
  filtered: "the destination's filter leaves it out",
  filter_failed: "the destination's filter failed on it",
  transform_failed: "the destination's transform failed on it",
  destination_deleted: "the destination was deleted",
  source_deleted: "the source was deleted",
  skipped_by_agent: "the agent chose to skip what waited",
  edited: "it is an edited copy",
  published: "it was published through the API",
  triggered: "it is a test event",
  test: "it is a test event",
  held: "the source is on hold",
  hold: "the source is on hold",
  overloaded: "too much was under way",
  rate_limited: "as many requests as the source allows were waiting",
  handshake_not_awaited: "a handshake that nobody opened the source for",
  signature_invalid: "its signature is not good"
};
var reason = (code) => code ? REASONS[code] ?? code.replaceAll("_", " ") : "";
var SIGNATURES = {
  verified: "The provider signed this body.",
  sender_verified: "The provider sent it, but what it signs does not cover the body.",
  wrong_secret: "Rightly formed, and made with another secret, or of another body. Compare the secret here with the one at the provider.",
  body_altered: "Right for a body that lost its last line break or was written anew: something between the provider and here changed it.",
  secret_form: "Right if the secret is read otherwise: not decoded, in hex, or with a space at its end. Add it again exactly as the provider shows it.",
  stale: "Signed too long ago. Is the clock of this server right, or was it sent again?",
  future: "Signed ahead of the clock. Is the clock of this server right?",
  header_missing: "The header field with the signature is missing.",
  header_twice: "The header field with the signature is there twice.",
  malformed: "Not a signature of this provider.",
  unknown_version: "A version of the scheme that is not known here.",
  timestamp_missing: "The time that the signature covers is missing.",
  url_scheme: "Signed for another spelling of the URL (http or https). Compare public.url with what the provider has.",
  url_form: "Signed for another spelling of the URL. Compare public.url with what the provider has.",
  token_wrong: "The shared token is another one.",
  not_for_us: "A signed token for somebody else.",
  expired: "The signed token is too old.",
  key_wanted: "The provider's public key could not be had.",
  key_refused: "The public key it names is not the provider's.",
  key_unknown: "The provider has no such public key.",
  key_unusable: "The provider's public key cannot be used.",
  edited: "A copy that its owner edited, of an event whose signature was good.",
  handshake_not_awaited: "A handshake that brings a secret, and nobody opened the source for it."
};
var isSigned = (signature) => signature === "verified" || signature === "sender_verified";
var signatureWords = (code) => SIGNATURES[code] ?? code.replaceAll("_", " ");
var toneOf = (status) => status >= 500 || status === 0 ? "bad" : status >= 400 ? "warn" : status >= 300 ? "plain" : "good";
var SHAPES = { good: "dot", plain: "ring", warn: "triangle", bad: "square", info: "half" };
function chip({ outcome, status }) {
  if (outcome === "answered") return { text: String(status || "—"), tone: toneOf(status), shape: SHAPES[toneOf(status)] };
  if (outcome === "accepted") return { text: `${status || 202} stored`, tone: "info", shape: "half" };
  if (outcome === "duplicate") return { text: `${status} copy`, tone: "plain", shape: "ring" };
  if (outcome === "greeted") return { text: `${status} greeted`, tone: "plain", shape: "ring" };
  if (outcome === "refused") return { text: `${status} refused`, tone: "warn", shape: "triangle" };
  if (outcome === "not_sent") return { text: `${status || ""} not sent`.trim(), tone: "bad", shape: "square" };
  return { text: `${status || ""} no answer`.trim(), tone: "bad", shape: "square" };
}
var STATES2 = {
  waiting: { text: "waiting", tone: "info", shape: "clock" },
  leased: { text: "under way", tone: "info", shape: "clock" },
  delivered: { text: "delivered", tone: "good", shape: "dot" },
  dead: { text: "dead", tone: "bad", shape: "cross" },
  cancelled: { text: "cancelled", tone: "plain", shape: "dash" }
};
var stateChip = (state) => STATES2[state] ?? { text: state, tone: "plain", shape: "ring" };
function story({ outcome, status, reason: why, total_us: total }) {
  const because = why ? `: ${reason(why)}` : "";
  switch (outcome) {
    case "answered":
      return `The app answered ${status} in ${span(total)}.`;
    case "accepted":
      return `Stored, and the sender told ${status || 202}${because}.`;
    case "not_sent":
      return `Nothing reached the app${because}. The sender was told ${status}; sending it again is safe.`;
    case "sent_no_answer":
      return `It was sent, and no answer came${because}. The app may have acted.${status ? ` The sender was told ${status}.` : ""}`;
    case "refused":
      return `Refused with ${status}, before the app${because}.`;
    case "duplicate":
      return `A copy of an event that was taken before; answered like it, and not delivered again.`;
    case "greeted":
      return `A challenge of the provider, which the relay answered${because}.`;
    default:
      return outcome;
  }
}
function attemptStory({ outcome, status, reason: why, text }) {
  if (text) return text;
  if (outcome === "answered") return `The app answered ${status}.`;
  if (outcome === "not_sent") return `Nothing reached the app: ${reason(why)}.`;
  return `It was sent, and no answer came: ${reason(why)}.`;
}
var nameOf = (event) => event.name || pathOf(event);
function pathOf({ source: source2, path }) {
  const mount = `/h/${source2}`;
  return path.startsWith(mount) ? path.slice(mount.length) || "/" : path;
}

// parts/memo.js
function memo(view) {
  return class Memo extends d {
    shouldComponentUpdate(next) {
      return Object.keys(next).some((key) => !Object.is(next[key], this.props[key]));
    }
    render(props) {
      return view(props);
    }
  };
}

// views/event-row.js
var HEADS = {
  l: ["Time", "Method", "Event", "Source", "Answer", "Delivery", "Took", "Size"],
  m: ["Time", "Event", "Source", "Answer", "", "Took"]
};
var EventHead = memo(({ kind }) => {
  if (kind === "s") return null;
  return fe`<div class=${`row-head ${kind}`} role="row" aria-rowindex="1">${HEADS[kind].map((title) => fe`<span role="columnheader">${title || fe`<span class="unseen-title">Delivery</span>`}</span>`)}<span role="columnheader"><span class="unseen-title">Pin and note</span></span></div>`;
});
var EventRow = memo(({ row, index, top, kind, isActive, isOpen, onOpen, isFilling }) => {
  const common = { style: `transform:translateY(${top}px)`, role: "row", id: `row-${row.id}`, "aria-rowindex": index + 2, "aria-selected": isActive, onClick: (event) => onOpen(index, event) };
  if (row.gap) {
    const what2 = row.trouble ? `What is between these could not be fetched: ${row.trouble}.` : row.missed ? `${count(row.missed)} came too fast to be shown here.` : "More is between these than was fetched.";
    return fe`<div class="row gap" ...${common}><span role="gridcell"><${Shape} kind="triangle" /> ${what2} ${isFilling ? "Fetching them…" : fe`<u>Fetch them</u>`}</span></div>`;
  }
  const state = `row ${kind}${isActive ? " is-active" : ""}${isOpen ? " is-open" : ""}`;
  const at = clock(row.received_at);
  const time = cell("num dim", at.slice(0, kind === "l" ? 12 : 8), `${day(row.received_at)} ${at}`);
  const answer = cell(null, Chip(chip(row)), reason(row.reason) || void 0);
  const source2 = cell("dim cut", row.source);
  const late = cell(null, row.late && Late({ state: row.late, isShort: kind !== "l" }));
  const took = cell("num dim end", row.outcome === "accepted" ? "" : span(row.total_us));
  const marks = cell("marks", [row.pinned && Mark({ title: "pinned", shape: "pin", text: "pinned" }), row.note && Mark({ title: row.note, shape: "note", text: "has a note" })]);
  const what = What({ row, isShort: kind !== "l" });
  if (kind === "s") {
    const line = (...cells) => a("span", { class: "row-line", role: "presentation" }, ...cells);
    return a("div", { class: state, ...common }, line(what, answer), line(time, source2, took, late, marks));
  }
  if (kind === "m") return a("div", { class: state, ...common }, time, what, source2, answer, late, took, marks);
  const size = cell("num dim end", row.body_bytes ? bytes(row.body_bytes) : "–");
  return a("div", { class: state, ...common }, time, cell("method", row.method), what, source2, answer, late, took, size, marks);
});
var cell = (classes, content, title) => a("span", { role: "gridcell", class: classes ?? void 0, title }, content);
function What({ row, isShort }) {
  const path = pathOf(row);
  return cell("what", [
    isShort && row.method !== "POST" && [a("span", { class: "method" }, row.method), " "],
    row.name && [a("b", null, Text({ text: row.name })), " "],
    (!row.name || path !== "/") && a("span", { class: row.name ? "dim path" : "path" }, Text({ text: path }))
  ]);
}
function Mark({ title, shape, text }) {
  return a("span", { title }, Shape({ kind: shape }), a("span", { class: "unseen-title" }, text));
}
function Late({ state, isShort }) {
  const { text, tone, shape } = stateChip(state);
  if (!isShort) return Chip({ text, tone, shape });
  return a("span", { class: `chip ${tone} ${shape}`, title: `delivery: ${text}` }, a("span", { class: "unseen-title" }, text));
}

// views/events.js
var EventPage = lazy("EventPage");
var NoEvents = lazy("NoEvents");
var ReplayMany = lazy("ReplayMany");
var POINTED_MS = 2e3;
var NARROW = 560;
var WIDE = 900;
var kindOf = (width) => width < NARROW ? "s" : width < WIDE ? "m" : "l";
var ABOVE = 89;
function Events({ name: open, q: query }) {
  const [, draw] = G(0);
  const list = Y(() => new EventList(query, () => draw((n2) => n2 + 1)), [query]);
  const [active, setActive] = G(open);
  const [topId, setTopId] = G(null);
  const reading = Q({ isAtTop: true, pointedAt: 0 });
  const [dialog, setDialog] = G(null);
  const sources = useAnswer((signal) => get("/sources", {}, signal), [], { every: 6e4, here: () => getHere("/sources") });
  const share = useSignal(listShare);
  const [kind, setKind] = G(() => kindOf(open ? innerWidth * share / 100 : innerWidth));
  const field = Q(null);
  const chosen = terms(query).find((term) => term.key === "source" && !term.isNegated)?.value ?? "";
  const slugs = sources.value?.sources.map(({ slug }) => slug) ?? [];
  const [hasTime, setHasTime] = G(false);
  J(() => void whenIdle(() => setHasTime(true)), []);
  const names = hasTime ? slugs : slugs.filter((slug) => slug === chosen);
  K(() => {
    if (list.next === void 0) list.older();
    const unlisten = listen(({ lines, isBack }) => {
      if (isBack) {
        list.fallBehind();
        whenIdle(() => list.catchUp());
      }
      if (!lines.length) return;
      hold();
      list.take(lines);
    });
    return () => {
      unlisten();
      list.end();
      reading.current.isAtTop = true;
      setTopId(null);
      document.querySelector(".rows")?.scrollTo({ top: 0 });
    };
  }, [list]);
  J(() => {
    if (open) setActive(open);
    else document.title = "Events · Inspector";
  }, [open]);
  const hold = () => {
    const { isAtTop, pointedAt } = reading.current;
    const isReading = !isAtTop || Date.now() - pointedAt < POINTED_MS;
    setTopId((was) => isReading ? was ?? list.at(0)?.id ?? null : null);
  };
  const held = topId ? Math.max(0, list.indexOf(topId)) : 0;
  const follow = () => {
    reading.current = { isAtTop: true, pointedAt: 0 };
    setTopId(null);
    document.querySelector(".rows")?.scrollTo({ top: 0 });
  };
  const at = (index) => list.at(index + held);
  const size = list.size - held;
  const activeIndex = active ? list.indexOf(active) - held : -1;
  const show = (id, replace = false) => go(link("events", id, { q: query }), { replace });
  const latest = Q(null);
  const openRow = Z((index, event) => latest.current(index, event), []);
  latest.current = (index, event) => {
    const row = at(index);
    if (!row) return;
    if (row.gap) return void list.fillGap(row.id);
    if (event?.ctrlKey || event?.metaKey) return void window.open(link("events", row.id), "_blank", "noopener");
    setActive(row.id);
    show(row.id);
  };
  const move = (index) => {
    const row = at(Math.max(0, Math.min(size - 1, index)));
    if (!row) return;
    setActive(row.id);
    if (open && !row.gap) show(row.id, true);
  };
  const setQuery = (value) => go(link("events", open, { q: value.trim() }), { replace: true });
  const focusList = () => document.querySelector(".rows")?.focus();
  const close = () => {
    go(link("events", "", { q: query }));
    requestAnimationFrame(focusList);
  };
  const amend = async (id, change2) => {
    const changed = await attempt(() => patch(`/events/${id}`, change2));
    if (changed) list.amend({ ...list.byId(id), ...change2, id });
    return changed;
  };
  useKeys({
    j: () => move(activeIndex + 1),
    k: () => move(activeIndex - 1),
    ArrowDown: () => open ? false : (focusList(), move(activeIndex + 1)),
    Enter: () => activeIndex >= 0 ? openRow(activeIndex) : false,
    "/": () => field.current.focus(),
    t: follow,
    p: () => active && !open && list.byId(active) ? void amend(active, { pinned: !list.byId(active).pinned }) : false
  });
  const error = list.error?.code === "malformed" ? list.error : null;
  const isEmpty = list.size === 0 && list.next === null && !list.isLoading && !list.error;
  const said = Foot({ list, query });
  const foot = fe`<div class="rows-foot" role=${said ? "row" : "presentation"}>${said && fe`<div role="gridcell">${said}</div>`}</div>`;
  return fe`<h1 class="unseen-title">Events</h1>
  <div class=${open ? "events has-open" : "events"} style=${{ "--share": `${share}%` }}>
    <section class="list" aria-label="Events">
      <div class="list-top">
        <${SearchField} query=${query} onQuery=${setQuery} error=${error} sources=${names} fieldRef=${field} />
        <select aria-label="Source" value=${names.includes(chosen) ? chosen : ""} onChange=${(event) => setQuery(withKey(query, "source", event.target.value || null))}>
          <option value="">All sources</option>${names.map((slug) => fe`<option value=${slug}>${slug}</option>`)}</select>
        <${Menu} label="All of these" align="end" items=${[
    { label: "Replay…", run: () => setDialog("replay"), why: whyNotManage(null) },
    ...["har", "ndjson"].map((format) => ({ label: `Export as ${format.toUpperCase()}`, run: () => download(address("/events/export", { format, q: query })) }))
  ]} />
      </div>
      <${Filters} query=${query} onQuery=${setQuery} />
      ${held > 0 && fe`<button type="button" class="pill" onClick=${follow}>${plural(held, "new one", "new ones")}</button>`}
      ${isEmpty && !query.trim() ? fe`<${NoEvents} sources=${sources} />` : fe`<${Rows} label="Events, newest first" columns=${8} size=${size} height=${kind === "s" ? 50 : 32} headHeight=${kind === "s" ? 0 : 28} tall=${innerHeight - ABOVE} active=${activeIndex} rowId=${(index) => `row-${at(index)?.id ?? "none"}`}
        head=${fe`<${EventHead} kind=${kind} />`} foot=${foot} onWidth=${(width) => setKind(kindOf(width))} onOpen=${openRow} onMove=${move} onEnd=${() => list.next !== null && !list.error && !isStuck(list) && list.older()}
        onTouch=${() => reading.current.pointedAt = Date.now()}
        onScrolled=${(isAtTop) => {
    reading.current.isAtTop = isAtTop;
    if (isAtTop && held === 0) setTopId(null);
  }}
        row=${(index, top) => {
    const row = at(index);
    if (!row) return null;
    return fe`<${EventRow} row=${row} version=${row.version} index=${index} top=${top} kind=${kind} isActive=${index === activeIndex} isOpen=${row.id === open} onOpen=${openRow} isFilling=${row.gap && list.isFilling} />`;
  }} />`}
    </section>
    ${open && fe`<${Divider} share=${listShare} label="Width of the list" />
      <${EventPage} key=${open} id=${open} query=${query} onClose=${close} onAmend=${amend} sources=${sources.value?.sources ?? []} recent=${() => list.rows.slice(-60).reverse()} />`}
  </div>
  ${dialog === "replay" && fe`<${ReplayMany} query=${query} list=${list} onClose=${() => setDialog(null)} />`}`;
}
var isStuck = (list) => list.next && list.size < 20 && !list.isPlain;
function Foot({ list, query }) {
  const reach = list.reach ? moment(list.reach) : "";
  if (list.error && list.error.code !== "malformed") return fe`<${Trouble} error=${list.error} retry=${() => list.again()} />`;
  if (list.isLoading) return fe`<span class="dim" role="status">Looking${reach && ` back to ${reach}`}…</span>`;
  if (list.next) return fe`<span class="dim">Looked back to ${reach}. </span><button type="button" class="small" onClick=${() => list.older()}>Look further back</button>`;
  if (list.size === 0) return query.trim() && !list.error ? fe`<span class="dim">Nothing found, back to the first event that is kept.</span>` : null;
  return fe`<span class="dim">${plural(list.size, "event")}, back to the first that is kept.</span>`;
}
function download(url) {
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = "";
  anchor.click();
}

// app.js
var KeysHelp = lazy("KeysHelp");
var SignIn = lazy("SignIn");
var Source = lazy("Source");
var Sources = lazy("Sources");
var PAGES2 = [
  { id: "events", title: "Events", key: "e", view: Events },
  { id: "overview", title: "Overview", key: "o", view: lazy("Overview") },
  { id: "sources", title: "Sources", key: "s", view: ({ name: name2, ...rest2 }) => name2 ? fe`<${Source} key=${name2} name=${name2} onReady=${rest2.onReady} />` : fe`<${Sources} ...${rest2} />` },
  { id: "deliveries", title: "Deliveries", key: "d", view: lazy("Deliveries") },
  { id: "agents", title: "Agents", key: "a", view: lazy("Agents") },
  { id: "tokens", title: "Tokens", key: "t", view: lazy("Tokens") }
];
var MOMENT_MS = 150;
function Page() {
  const { page: page2, name: name2, q: q2, params } = useSignal(route);
  const { token, program, canSignOut } = useSignal(session);
  useSignal(theme);
  const [isHelp, setHelp] = G(false);
  J(() => {
    start();
    return stop;
  }, []);
  const isFirst = Q(true);
  const home = () => !isFirst.current && document.querySelector("main [data-home]")?.focus({ preventScroll: true });
  J(() => {
    home();
    isFirst.current = false;
  }, [page2, page2 === "events" || name2]);
  const keys = { "?": () => setHelp(true) };
  for (const { id, key } of PAGES2) keys[`g ${key}`] = () => go(link(id));
  useKeys(keys);
  const current = PAGES2.find(({ id }) => id === page2);
  return fe`
    <a class="skip" href="#main" onClick=${(event) => {
    event.preventDefault();
    document.querySelector("[data-home]")?.focus();
  }}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${link("events")} aria-label="Inspector, all events"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 8h8M6.5 4 10.5 8l-4 4M13.5 3v10" /></svg><span>Inspector</span></a>
      <nav aria-label="Pages">${PAGES2.map(({ id, title }) => fe`<a href=${link(id)} aria-current=${id === page2 ? "page" : void 0}>${title}</a>`)}</nav>
      <div class="top-end">
        <${Presence} />
        <button type="button" class="bare" onClick=${switchTheme} aria-label=${isDark() ? "Light theme" : "Dark theme"} title=${isDark() ? "Light theme" : "Dark theme"}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="5.5" /><path class="filled" d="M8 2.5a5.5 5.5 0 0 1 0 11z" /></svg></button>
        <button type="button" class="bare" aria-label="Keys" title="Keys (?)" onClick=${() => setHelp(true)}>?</button>
        ${canSignOut && token && fe`<button type="button" class="bare small sign-out" title=${`${program ?? ""} · ${token.label || "token"}, scope ${token.scope}`} onClick=${() => attempt(signOut)}>Sign out</button>`}
      </div>
    </header>
    <main id="main" class=${`page page-${page2}`}>
      ${current ? fe`<${current.view} onReady=${home} name=${name2} q=${q2} params=${params} />` : fe`<div class="padded"><h1 tabindex="-1" data-home>No such page</h1><p>The address does not name a page. <a href=${link("events")}>All events</a></p></div>`}
    </main>
    ${isHelp && fe`<${KeysHelp} pages=${PAGES2} onClose=${() => setHelp(false)} />`}`;
}
function App() {
  const { phase, error, was } = useSignal(session);
  return fe`
    ${phase === "in" && fe`<${Page} />`}
    ${phase === "out" && fe`<${SignIn} was=${was} />`}
    ${phase === "failed" && fe`<main class="centered"><h1>Inspector</h1><${Trouble} error=${error} retry=${begin} /></main>`}
    ${phase === "asking" && fe`<main class="centered"><p class="dim loading" role="status">Asking the server who you are…</p></main>`}
    <${Host} />`;
}
var { page, name } = route.value;
if (page !== "events" || name) preload();
var moment3 = new Promise((over) => setTimeout(over, MOMENT_MS));
Promise.race([Promise.all([begin(), firstHere()]), moment3]).then(() => {
  M(fe`<${App} />`, document.getElementById("app"));
  whenIdle(preload);
});

export {
  G,
  J,
  Q,
  Y,
  fe,
  useSignal,
  address,
  get,
  post,
  patch,
  remove,
  shortcuts,
  notified,
  listen,
  link,
  go,
  session,
  signIn,
  whyNotManage,
  whyNotAdmin,
  clock,
  day,
  moment,
  span,
  ago,
  bytes,
  count,
  plural,
  idMoment,
  plain,
  nextId,
  Text,
  Shape,
  Chip,
  Trouble,
  Dialog,
  ask,
  say,
  attempt,
  useKeys,
  useAnswer,
  copy,
  CopyButton,
  CopyLine,
  Menu,
  Tabs,
  Segments,
  Field,
  PageHead,
  Button,
  reason,
  isSigned,
  signatureWords,
  chip,
  stateChip,
  story,
  attemptStory,
  nameOf,
  KEYS,
  bulkFilter
};

# Prints the strings of a JSON document, one a line: path, tab, value. Members are joined by dots, elements are numbered from 0.
BEGIN { RS = "\001"; FS = "\002" }
{
  size = length($0); depth = 0; name = 0
  for (at = 1; at <= size; at++) {
    letter = substr($0, at, 1)
    if (letter == "{") { depth++; object[depth] = 1; name = 1; part[depth] = "" }
    else if (letter == "[") { depth++; object[depth] = 0; name = 0; part[depth] = 0 }
    else if (letter == "}" || letter == "]") { depth--; name = 0 }
    else if (letter == ":") name = 0
    else if (letter == ",") { if (object[depth]) name = 1; else part[depth]++ }
    else if (letter == "\"") {
      text = ""
      for (at++; at <= size && (letter = substr($0, at, 1)) != "\""; at++) {
        if (letter == "\\") {
          letter = substr($0, ++at, 1)
          if (letter == "n" || letter == "r" || letter == "t") letter = " "
          else if (letter == "u") { at += 4; letter = "?" }
        }
        text = text letter
      }
      if (name) part[depth] = text
      else {
        path = part[1]
        for (level = 2; level <= depth; level++) path = path "." part[level]
        print path "\t" text
      }
    }
  }
}

namespace Nephos.Hosting.Configuration;

/// <summary>Finds the name that was probably meant.</summary>
internal static class Nearest
{
    /// <summary>"did you mean X?" when a known name is near, else all that are known.</summary>
    public static string Hint(string name, IReadOnlyCollection<string> known)
    {
        var near = known.Select(candidate => (Name: candidate, Distance: Distance(name, candidate))).DefaultIfEmpty(("", int.MaxValue)).MinBy(found => found.Item2);
        return near.Item2 <= Math.Max(2, name.Length / 3)
            ? $"did you mean '{near.Item1}'?"
            : $"known are {string.Join(", ", known.Order(StringComparer.Ordinal))}";
    }

    /// <summary>How many letters have to be added, removed or replaced (Levenshtein), whatever their case.</summary>
    internal static int Distance(string left, string right)
    {
        var (above, row) = (Enumerable.Range(0, right.Length + 1).ToArray(), new int[right.Length + 1]);
        for (var i = 1; i <= left.Length; i++)
        {
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var replaced = above[j - 1] + (char.ToUpperInvariant(left[i - 1]) == char.ToUpperInvariant(right[j - 1]) ? 0 : 1);
                row[j] = Math.Min(replaced, Math.Min(above[j], row[j - 1]) + 1);
            }
            (above, row) = (row, above);
        }
        return above[right.Length];
    }
}

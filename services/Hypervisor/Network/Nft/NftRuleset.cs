using System.Globalization;
using System.Text;

namespace Nephos.Hypervisor.Network.Nft;

/// <summary>A set, or a map when its elements have values.</summary>
/// <param name="Type">Everything of the declaration but the elements, for example <c>type ifname : mark;</c>.</param>
/// <param name="Elements">Key to value; values are empty in a set.</param>
internal sealed record NftSet(bool IsMap, string Type, IReadOnlyDictionary<string, string> Elements);

/// <param name="Hook">Empty for a chain that others jump to; such a chain is named by its content and never changes.</param>
internal sealed record NftChain(string Hook, IReadOnlyList<string> Rules);

/// <param name="Name">With the family: <c>inet filter</c>.</param>
internal sealed record NftTable(string Name, IReadOnlyDictionary<string, NftSet> Sets, IReadOnlyDictionary<string, NftChain> Chains);

/// <summary>Tables of packet rules, as a value: written whole, or as what changes from an earlier one. Either is one transaction.</summary>
internal sealed record NftRuleset(IReadOnlyList<NftTable> Tables)
{
    /// <summary>Replaces the tables, whatever is in them.</summary>
    public string Replace()
    {
        var text = new StringBuilder();
        foreach (var table in Tables)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"table {table.Name}\ndelete table {table.Name}\ntable {table.Name} {{");
            // Maps of verdicts name chains, chains name sets.
            foreach (var (name, set) in Ordered(table.Sets).Where(set => !IsVerdicts(set.Value)))
            {
                Declare(text, name, set);
            }

            foreach (var (name, chain) in Ordered(table.Chains).Where(chain => chain.Value.Hook.Length == 0))
            {
                Declare(text, name, chain);
            }

            foreach (var (name, set) in Ordered(table.Sets).Where(set => IsVerdicts(set.Value)))
            {
                Declare(text, name, set);
            }

            foreach (var (name, chain) in Ordered(table.Chains).Where(chain => chain.Value.Hook.Length > 0))
            {
                Declare(text, name, chain);
            }

            text.AppendLine("}");
        }

        return text.ToString();
    }

    /// <summary>What leads from an earlier ruleset to this one; null when only a replacement does.</summary>
    public NftChange? ChangeFrom(NftRuleset before)
    {
        if (!Tables.Select(table => table.Name).SequenceEqual(before.Tables.Select(table => table.Name)))
        {
            return null;
        }

        var text = new StringBuilder();
        var removes = false;
        for (var i = 0; i < Tables.Count; i++)
        {
            if (!Change(text, before.Tables[i], Tables[i], ref removes))
            {
                return null;
            }
        }

        return new NftChange(text.ToString(), removes);
    }

    private static bool Change(StringBuilder text, NftTable before, NftTable after, ref bool removes)
    {
        if (after.Sets.Any(set => before.Sets.TryGetValue(set.Key, out var old) && old.Type != set.Value.Type)
            || after.Chains.Keys.Union(before.Chains.Keys).Any(name => !IsSame(before.Chains.GetValueOrDefault(name), after.Chains.GetValueOrDefault(name))))
        {
            return false;
        }

        foreach (var (name, set) in Ordered(after.Sets).Where(set => !before.Sets.ContainsKey(set.Key)))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"add {Word(set)} {after.Name} {name} {{ {set.Type} }}");
        }

        foreach (var (name, chain) in Ordered(after.Chains).Where(chain => !before.Chains.ContainsKey(chain.Key)))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"add chain {after.Name} {name}");
            foreach (var rule in chain.Rules)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"add rule {after.Name} {name} {rule}");
            }
        }

        removes |= ChangeElements(text, before, after);
        foreach (var (name, _) in Ordered(before.Chains).Where(chain => !after.Chains.ContainsKey(chain.Key)))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"flush chain {after.Name} {name}\ndelete chain {after.Name} {name}");
        }

        foreach (var (name, set) in Ordered(before.Sets).Where(set => !after.Sets.ContainsKey(set.Key)))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"delete {Word(set)} {after.Name} {name}");
        }

        return true;
    }

    /// <summary>True when elements are removed.</summary>
    private static bool ChangeElements(StringBuilder text, NftTable before, NftTable after)
    {
        var removes = false;
        foreach (var (name, set) in Ordered(after.Sets))
        {
            var old = before.Sets.TryGetValue(name, out var there) ? there.Elements : new Dictionary<string, string>();
            var gone = old.Where(element => !set.Elements.TryGetValue(element.Key, out var value) || value != element.Value).Select(element => element.Key);
            var added = set.Elements.Where(element => !old.TryGetValue(element.Key, out var value) || value != element.Value).Select(Element);
            removes |= Elements(text, "delete", after.Name, name, gone);
            Elements(text, "add", after.Name, name, added);
        }

        return removes;
    }

    private static bool Elements(StringBuilder text, string verb, string table, string set, IEnumerable<string> elements)
    {
        var all = string.Join(", ", elements);
        if (all.Length > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{verb} element {table} {set} {{ {all} }}");
        }

        return all.Length > 0;
    }

    /// <summary>Chains come and go; one that stays stays the same. Hooks neither come nor go.</summary>
    private static bool IsSame(NftChain? before, NftChain? after) => (before, after) switch
    {
        ({ } one, { } other) => one.Hook == other.Hook && one.Rules.SequenceEqual(other.Rules),
        _ => (before ?? after)!.Hook.Length == 0,
    };

    private static void Declare(StringBuilder text, string name, NftSet set)
    {
        // A closing brace needs a line of its own.
        text.AppendLine(CultureInfo.InvariantCulture, $"{Word(set)} {name} {{ {set.Type}");
        if (set.Elements.Count > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"elements = {{ {string.Join(", ", set.Elements.Select(Element))} }}");
        }

        text.AppendLine("}");
    }

    private static void Declare(StringBuilder text, string name, NftChain chain)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"chain {name} {{ {chain.Hook}");
        foreach (var rule in chain.Rules)
        {
            text.AppendLine(rule);
        }

        text.AppendLine("}");
    }

    private static string Element(KeyValuePair<string, string> element) => element.Value.Length == 0 ? element.Key : $"{element.Key} : {element.Value}";

    private static string Word(NftSet set) => set.IsMap ? "map" : "set";

    private static bool IsVerdicts(NftSet set) => set.Type.Contains("verdict", StringComparison.Ordinal);

    private static IEnumerable<KeyValuePair<string, T>> Ordered<T>(IReadOnlyDictionary<string, T> items) =>
        items.OrderBy(item => item.Key, StringComparer.Ordinal);
}

/// <param name="Removes">True when something may not pass any more that did.</param>
internal sealed record NftChange(string Text, bool Removes);

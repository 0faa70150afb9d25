using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Nephos.ObjectStorage.S3;

internal enum PolicyVerdict
{
    Silent,
    Allow,
    Deny,
}

/// <summary>What a policy is asked about.</summary>
/// <param name="Action">As <c>s3:GetObject</c>.</param>
/// <param name="Resource">As <c>arn:aws:s3:::bucket/key</c>.</param>
/// <param name="Values">Condition keys in lower case (but for the name of a tag in one); a key that is missing has no value, and few have several.</param>
internal sealed record PolicyRequest(string? Project, string? User, string Action, string Resource, Func<string, IReadOnlyList<string>> Values);

/// <summary>A bucket policy: statements that allow or deny; one that denies wins.</summary>
/// <remarks>
/// Follows the IAM policy grammar, version 2012-10-17: Principal and NotPrincipal (a project, <c>arn:aws:iam::PROJECT:root</c>,
/// <c>arn:aws:iam::PROJECT:user/USER</c> or <c>*</c>), Action and NotAction, Resource and NotResource with wildcards, and conditions.
/// What the grammar has and this does not (other operators) is refused when the policy is stored, so that nothing is ignored.
/// </remarks>
internal sealed class S3Policy
{
    public const string Key = "s3.policy";
    public const int MaxBytes = 20 * 1024;

    /// <summary>Condition keys that end in the name of a tag: those that the object has, and those that the request gives it.</summary>
    public const string ExistingTag = "s3:existingobjecttag/";

    public const string RequestTag = "s3:requestobjecttag/";

    public const string RequestTagKeys = "s3:requestobjecttagkeys";
    private const int MaxDepth = 8;
    private const int MaxStatements = 100;
    private static readonly string[] Operators =
    [
        "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike", "NumericEquals",
        "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals", "DateEquals", "DateNotEquals",
        "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "Bool", "IpAddress", "NotIpAddress", "ArnLike", "ArnEquals", "Null",
    ];

    private readonly List<Statement> _statements = [];

    private S3Policy()
    {
    }

    /// <summary>Someone besides named projects is let in.</summary>
    public bool IsPublic => _statements.Any(statement => statement.Allows && (statement.NotPrincipal || statement.Principals.Contains("*")) &&
        !statement.Conditions.Any(condition => condition.Key is "aws:sourceip" or "aws:principalaccount" or "aws:userid" or "aws:username"));

    /// <summary>A condition needs to know the tags of the object, or those that the request sets.</summary>
    public bool AsksForTags(string prefix) => _statements.Any(statement => statement.Conditions.Any(condition => condition.Key.StartsWith(prefix, StringComparison.Ordinal)));

    /// <param name="bucket">The bucket that every resource must be in.</param>
    /// <exception cref="S3Fault">MalformedPolicy, with what is wrong.</exception>
    public static S3Policy Parse(string json, string bucket)
    {
        try
        {
            if (JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { MaxDepth = MaxDepth }) is not JsonObject document)
            {
                throw Malformed("Policies must be valid JSON and the first byte must be '{'");
            }
            var policy = new S3Policy();
            foreach (var (name, value) in document)
            {
                switch (name)
                {
                    case "Version" when Text(value) is "2012-10-17" or "2008-10-17":
                    case "Id":
                        break;
                    case "Statement":
                        var statements = value is JsonArray array ? [.. array] : new List<JsonNode?> { value };
                        if (statements.Count is 0 or > MaxStatements)
                        {
                            throw Malformed($"A policy has 1 to {MaxStatements} statements");
                        }
                        policy._statements.AddRange(statements.Select(item => ParseStatement(item as JsonObject ?? throw Malformed("Statement must be an object"), bucket)));
                        break;
                    default:
                        throw Malformed($"Unknown or invalid field {name}");
                }
            }
            return policy._statements.Count > 0 ? policy : throw Malformed("Missing required field Statement");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException)
        {
            throw Malformed("Policies must be valid JSON and the first byte must be '{'");
        }
    }

    public PolicyVerdict Evaluate(PolicyRequest request)
    {
        var verdict = PolicyVerdict.Silent;
        foreach (var statement in _statements)
        {
            if (statement.Covers(request))
            {
                if (!statement.Allows)
                {
                    return PolicyVerdict.Deny;
                }
                verdict = PolicyVerdict.Allow;
            }
        }
        return verdict;
    }

    /// <summary>Matches <c>*</c> and <c>?</c>, in time proportional to the product of the lengths at worst.</summary>
    public static bool Like(ReadOnlySpan<char> text, ReadOnlySpan<char> pattern)
    {
        var (at, in_, star, mark) = (0, 0, -1, 0);
        while (at < text.Length)
        {
            if (in_ < pattern.Length && (pattern[in_] == '?' || (pattern[in_] != '*' && pattern[in_] == text[at])))
            {
                (at, in_) = (at + 1, in_ + 1);
            }
            else if (in_ < pattern.Length && pattern[in_] == '*')
            {
                (star, mark) = (in_++, at);
            }
            else if (star >= 0)
            {
                (in_, at) = (star + 1, ++mark);
            }
            else
            {
                return false;
            }
        }
        while (in_ < pattern.Length && pattern[in_] == '*')
        {
            in_++;
        }
        return in_ == pattern.Length;
    }

    private static Statement ParseStatement(JsonObject json, string bucket)
    {
        bool? allows = null;
        List<string>? principals = null, actions = null, resources = null;
        var (notPrincipal, notAction, notResource) = (false, false, false);
        var conditions = new List<Condition>();
        foreach (var (name, value) in json)
        {
            switch (name)
            {
                case "Sid":
                    break;
                case "Effect":
                    allows = Text(value) switch { "Allow" => true, "Deny" => false, _ => throw Malformed("Invalid effect") };
                    break;
                case "Principal" or "NotPrincipal" when principals is null:
                    notPrincipal = name == "NotPrincipal";
                    principals = [.. (value is JsonObject map
                        ? map.All(item => item.Key is "AWS" or "CanonicalUser") ? map.SelectMany(item => Texts(item.Value)) : throw Malformed("Invalid principal in policy")
                        : Text(value) == "*" && !notPrincipal ? ["*"] : throw Malformed("Invalid principal in policy"))];
                    break;
                case "Action" or "NotAction":
                    (actions, notAction) = (Texts(value), name == "NotAction");
                    if (!actions.All(action => action == "*" || action.StartsWith("s3:", StringComparison.OrdinalIgnoreCase)))
                    {
                        throw Malformed("Policy has invalid action");
                    }
                    break;
                case "Resource" or "NotResource":
                    (resources, notResource) = (Texts(value), name == "NotResource");
                    break;
                case "Condition":
                    conditions = [.. ParseConditions(value as JsonObject ?? throw Malformed("Condition must be an object"))];
                    break;
                default:
                    throw Malformed($"Unknown field {name}");
            }
        }
        var own = $"arn:aws:s3:::{bucket}";
        if (allows is null || principals is not { Count: > 0 } || actions is not { Count: > 0 } || resources is not { Count: > 0 })
        {
            throw Malformed("A statement has Effect, Principal, Action and Resource");
        }
        if (!notResource && !resources.All(resource => resource == own || resource.StartsWith(own + "/", StringComparison.Ordinal) || resource is "*" || resource == own + "*"))
        {
            throw Malformed("Policy has invalid resource");
        }
        return new Statement(allows.Value, principals, notPrincipal, actions, notAction, resources, notResource, conditions);
    }

    private static IEnumerable<Condition> ParseConditions(JsonObject json)
    {
        foreach (var (name, keys) in json)
        {
            var colon = name.IndexOf(':', StringComparison.Ordinal);
            var set = name[..(colon + 1)] switch
            {
                "" => SetOperator.None,
                "ForAnyValue:" => SetOperator.Any,
                "ForAllValues:" => SetOperator.All,
                _ => throw Malformed($"Invalid condition operator {name}"),
            };
            var operation = name[(colon + 1)..];
            var ifExists = operation.EndsWith("IfExists", StringComparison.Ordinal);
            operation = ifExists ? operation[..^"IfExists".Length] : operation;
            if (!Operators.Contains(operation))
            {
                throw Malformed($"Invalid condition operator {name}");
            }
            foreach (var (key, values) in keys as JsonObject ?? throw Malformed("Condition must be an object"))
            {
                var condition = new Condition(operation, set, ifExists, KeyOf(key), Texts(values));
                condition.Check();
                yield return condition;
            }
        }
    }

    /// <summary>Keys are compared without regard to case, the names of tags in them are not.</summary>
    private static string KeyOf(string key)
    {
        var slash = key.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? key.ToLowerInvariant() : key[..slash].ToLowerInvariant() + key[slash..];
    }

    private static List<string> Texts(JsonNode? node) =>
        node is JsonArray array ? [.. array.Select(item => Text(item) ?? throw Malformed("Values are texts"))] : [Text(node) ?? throw Malformed("Values are texts")];

    private static string? Text(JsonNode? node) => node is not JsonValue value ? null : value.GetValueKind() switch
    {
        JsonValueKind.String => value.GetValue<string>(),
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.ToJsonString(),
        _ => null,
    };

    private static S3Fault Malformed(string message) => new(400, "MalformedPolicy", message);

    private sealed record Statement(
        bool Allows, List<string> Principals, bool NotPrincipal, List<string> Actions, bool NotAction, List<string> Resources, bool NotResource, List<Condition> Conditions)
    {
        public bool Covers(PolicyRequest request) =>
            Principals.Any(principal => Names(principal, request)) != NotPrincipal &&
            Actions.Any(action => Like(request.Action.ToLowerInvariant(), action.ToLowerInvariant())) != NotAction &&
            Resources.Any(resource => Like(request.Resource, resource)) != NotResource &&
            Conditions.All(condition => condition.Holds(request.Values(condition.Key)));

        private static bool Names(string principal, PolicyRequest request)
        {
            if (principal == "*" || request.Project is null)
            {
                return principal == "*";
            }
            const string Arn = "arn:aws:iam::";
            return principal == request.Project || principal == $"{Arn}{request.Project}:root" || principal == $"{Arn}{request.Project}:user/{request.User}";
        }
    }

    private enum SetOperator
    {
        None,
        Any,
        All,
    }

    private sealed record Condition(string Operator, SetOperator Set, bool IfExists, string Key, List<string> Values)
    {
        /// <exception cref="S3Fault">A value is not of the operator's type.</exception>
        public void Check()
        {
            var valid = Operator switch
            {
                "IpAddress" or "NotIpAddress" => Values.All(value => TryNetwork(value, out _)),
                "Bool" or "Null" => Values.All(value => value is "true" or "false"),
                _ when Operator.StartsWith("Numeric", StringComparison.Ordinal) => Values.All(value => Number(value) is not null),
                _ when Operator.StartsWith("Date", StringComparison.Ordinal) => Values.All(value => Date(value) is not null),
                _ => true,
            };
            if (!valid || Values.Count == 0)
            {
                throw Malformed($"A value of {Operator} {Key} is invalid");
            }
        }

        public bool Holds(IReadOnlyList<string> actual)
        {
            if (Operator == "Null")
            {
                return Values.Contains(actual.Count == 0 ? "true" : "false");
            }
            var negated = Operator.Contains("Not", StringComparison.Ordinal);
            if (actual.Count == 0)
            {
                // All of nothing hold, and none of it does. A negated operator holds for what is not there: it is certainly none of the values.
                return Set switch { SetOperator.All => true, SetOperator.Any => IfExists, _ => IfExists || negated };
            }
            return Set == SetOperator.All || (Set == SetOperator.None && negated)
                ? actual.All(item => Values.Any(value => Compare(item, value)) != negated)
                : actual.Any(item => Values.Any(value => Compare(item, value)) != negated);
        }

        private bool Compare(string actual, string value) => Operator switch
        {
            "StringEquals" or "StringNotEquals" => actual == value,
            "StringEqualsIgnoreCase" or "StringNotEqualsIgnoreCase" or "Bool" => actual.Equals(value, StringComparison.OrdinalIgnoreCase),
            "StringLike" or "StringNotLike" or "ArnLike" or "ArnEquals" => Like(actual, value),
            "IpAddress" or "NotIpAddress" => TryNetwork(value, out var network) && IPAddress.TryParse(actual, out var address) &&
                address.AddressFamily == network.BaseAddress.AddressFamily && network.Contains(address),
            "NumericEquals" or "NumericNotEquals" => Number(actual) is { } number && number == Number(value),
            "NumericLessThan" => Number(actual) < Number(value),
            "NumericLessThanEquals" => Number(actual) <= Number(value),
            "NumericGreaterThan" => Number(actual) > Number(value),
            "NumericGreaterThanEquals" => Number(actual) >= Number(value),
            "DateEquals" or "DateNotEquals" => Date(actual) is { } date && date == Date(value),
            "DateLessThan" => Date(actual) < Date(value),
            "DateLessThanEquals" => Date(actual) <= Date(value),
            "DateGreaterThan" => Date(actual) > Date(value),
            "DateGreaterThanEquals" => Date(actual) >= Date(value),
            _ => false,
        };

        private static bool TryNetwork(string text, out IPNetwork network)
        {
            if (IPNetwork.TryParse(text, out network))
            {
                return true;
            }
            if (!IPAddress.TryParse(text, out var address))
            {
                return false;
            }
            network = new IPNetwork(address, address.GetAddressBytes().Length * 8);
            return true;
        }

        private static double? Number(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : null;

        private static DateTimeOffset? Date(string text) =>
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var unix) && unix < 100_000_000_000 ? DateTimeOffset.FromUnixTimeSeconds(unix)
            : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) ? date : null;
    }
}

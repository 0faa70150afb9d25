using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Nephos.Kernel.Operations;

namespace Nephos.Hosting.Authentication;

/// <summary>Tokens as text: a JWT in JWS compact form, signed with ES256 (RFC 7515, 7518, 7519).</summary>
/// <remarks>
/// Header <c>{"alg":"ES256","kid":…}</c>. Claims: iss, sub, iat, exp, jti as registered; udm the user's domain; pj the first token of
/// the chain; amr the methods; scp the scope {t: p, d or s; id; dom}; rol the role names; del the delegation {k: ac, ec2 or tr; id; o the
/// other user; u; r: [[service, method, path]]}; epo the epochs. Everything a service needs to decide, nothing it can look up when it wants names.
/// </remarks>
public static class TokenCodec
{
    /// <summary>Longer tokens are neither made nor read. Headers of requests have room for it.</summary>
    public const int MaxTokenChars = 8192;

    private const string Issuer = "nephos";
    private const int MaxItems = 256;

    /// <exception cref="InvalidOperationException">The claims do not fit into a token.</exception>
    public static string Encode(TokenClaims claims, TokenSigningKey key)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var writer = new Utf8JsonWriter(buffer);
        writer.WriteStartObject();
        writer.WriteString("alg", "ES256");
        writer.WriteString("kid", key.KeyId);
        writer.WriteEndObject();
        writer.Flush();
        var headerBytes = buffer.WrittenCount;
        writer.Reset();
        Write(writer, claims);
        writer.Flush();
        var json = buffer.WrittenSpan;
        var headerChars = Base64Url.GetEncodedLength(headerBytes);
        var signedChars = headerChars + 1 + Base64Url.GetEncodedLength(json.Length - headerBytes);
        var token = new byte[signedChars + 1 + Base64Url.GetEncodedLength(TokenSigningKey.SignatureBytes)];
        if (token.Length > MaxTokenChars)
        {
            throw new InvalidOperationException($"A token of {token.Length} characters is longer than {MaxTokenChars}.");
        }
        Base64Url.EncodeToUtf8(json[..headerBytes], token);
        token[headerChars] = (byte)'.';
        Base64Url.EncodeToUtf8(json[headerBytes..], token.AsSpan(headerChars + 1));
        token[signedChars] = (byte)'.';
        Span<byte> signature = stackalloc byte[TokenSigningKey.SignatureBytes];
        key.Sign(token.AsSpan(0, signedChars), signature);
        Base64Url.EncodeToUtf8(signature, token.AsSpan(signedChars + 1));
        return Encoding.ASCII.GetString(token);
    }

    /// <summary>Checks form and signature, not time and not revocation.</summary>
    /// <param name="token">Anything.</param>
    /// <param name="findKey">The key with an id, or null.</param>
    /// <returns>Null when it is no token that one of the keys signed.</returns>
    public static TokenClaims? Decode(string token, Func<string, TokenSigningKey?> findKey)
    {
        try
        {
            return Split(token) is { } parts && ReadKeyId(Base64Url.DecodeFromChars(parts.Header)) is { } keyId &&
                findKey(keyId) is { } key && HasSignature(token, parts, key)
                    ? Read(parts)
                    : null;
        }
        catch (Exception exception) when (IsMalformed(exception))
        {
            return null;
        }
    }

    /// <summary>The claims of a token that came from the identity service itself over a trusted connection.</summary>
    internal static TokenClaims? DecodeTrusted(string token)
    {
        try
        {
            return Split(token) is { } parts ? Read(parts) : null;
        }
        catch (Exception exception) when (IsMalformed(exception))
        {
            return null;
        }
    }

    private static Parts? Split(string token)
    {
        if (token.Length > MaxTokenChars || !Ascii.IsValid(token))
        {
            return null;
        }
        var headerEnd = token.IndexOf('.', StringComparison.Ordinal);
        var payloadEnd = token.LastIndexOf('.');
        return headerEnd <= 0 || payloadEnd <= headerEnd
            ? null
            : new Parts(token[..headerEnd], token[(headerEnd + 1)..payloadEnd], token[(payloadEnd + 1)..], payloadEnd);
    }

    private static bool HasSignature(string token, Parts parts, TokenSigningKey key)
    {
        var signature = Base64Url.DecodeFromChars(parts.Signature);
        return signature.Length == TokenSigningKey.SignatureBytes && key.Verify(Encoding.ASCII.GetBytes(token, 0, parts.SignedChars), signature);
    }

    private static TokenClaims? Read(Parts parts)
    {
        using var payload = JsonDocument.Parse(Base64Url.DecodeFromChars(parts.Payload));
        return Read(payload.RootElement);
    }

    private static bool IsMalformed(Exception exception) => exception is
        FormatException or JsonException or InvalidOperationException or KeyNotFoundException or ArgumentOutOfRangeException or IndexOutOfRangeException;

    private static string? ReadKeyId(byte[] header)
    {
        using var document = JsonDocument.Parse(header);
        var root = document.RootElement;
        return root.GetProperty("alg").ValueEquals("ES256") && !root.TryGetProperty("crit", out _) ? root.GetProperty("kid").GetString() : null;
    }

    private static void Write(Utf8JsonWriter writer, TokenClaims claims)
    {
        writer.WriteStartObject();
        writer.WriteString("iss", Issuer);
        writer.WriteString("sub", claims.UserId);
        writer.WriteString("udm", claims.UserDomainId);
        writer.WriteNumber("iat", claims.IssuedAt.ToUnixTimeSeconds());
        writer.WriteNumber("exp", claims.ExpiresAt.ToUnixTimeSeconds());
        writer.WriteString("jti", claims.TokenId);
        if (claims.ChainId is { } chain)
        {
            writer.WriteString("pj", chain);
        }
        WriteStrings(writer, "amr", claims.Methods);
        if (claims.Scope != TokenScopeKind.Unscoped)
        {
            writer.WriteStartObject("scp");
            writer.WriteString("t", claims.Scope switch { TokenScopeKind.Project => "p", TokenScopeKind.Domain => "d", _ => "s" });
            if (claims.ScopeId is { } id)
            {
                writer.WriteString("id", id);
            }
            if (claims.ScopeDomainId is { } domain)
            {
                writer.WriteString("dom", domain);
            }
            writer.WriteEndObject();
            WriteStrings(writer, "rol", claims.Roles);
        }
        if (claims.Delegation is { } delegation)
        {
            WriteDelegation(writer, delegation);
        }
        if (claims.Epochs.Any(epoch => epoch != 0))
        {
            writer.WriteStartArray("epo");
            foreach (var epoch in claims.Epochs)
            {
                writer.WriteNumberValue(epoch);
            }
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
    }

    private static void WriteDelegation(Utf8JsonWriter writer, TokenDelegation delegation)
    {
        writer.WriteStartObject("del");
        writer.WriteString("k", delegation.Kind);
        writer.WriteString("id", delegation.CredentialId);
        if (delegation.OtherUserId is { } other)
        {
            writer.WriteString("o", other);
        }
        if (delegation.Unrestricted)
        {
            writer.WriteBoolean("u", true);
        }
        if (delegation.AccessRules.Count > 0)
        {
            writer.WriteStartArray("r");
            foreach (var rule in delegation.AccessRules)
            {
                writer.WriteStartArray();
                writer.WriteStringValue(rule.Service);
                writer.WriteStringValue(rule.Method);
                writer.WriteStringValue(rule.Path);
                writer.WriteEndArray();
            }
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
    }

    private static void WriteStrings(Utf8JsonWriter writer, string name, IReadOnlyList<string> values)
    {
        writer.WriteStartArray(name);
        foreach (var value in values)
        {
            writer.WriteStringValue(value);
        }
        writer.WriteEndArray();
    }

    private static TokenClaims? Read(JsonElement root)
    {
        if (!root.GetProperty("iss").ValueEquals(Issuer))
        {
            return null;
        }
        var claims = new TokenClaims
        {
            TokenId = Text(root, "jti"),
            ChainId = root.TryGetProperty("pj", out _) ? Text(root, "pj") : null,
            UserId = Text(root, "sub"),
            UserDomainId = Text(root, "udm"),
            IssuedAt = DateTimeOffset.FromUnixTimeSeconds(root.GetProperty("iat").GetInt64()),
            ExpiresAt = DateTimeOffset.FromUnixTimeSeconds(root.GetProperty("exp").GetInt64()),
            Methods = Texts(root.GetProperty("amr")),
            Delegation = root.TryGetProperty("del", out var delegation) ? ReadDelegation(delegation) : null,
            Epochs = root.TryGetProperty("epo", out var epochs) ? [.. Items(epochs).Select(epoch => epoch.GetInt64())] : [],
        };
        if (!root.TryGetProperty("scp", out var scope))
        {
            return claims;
        }
        claims = claims with { Roles = Texts(root.GetProperty("rol")) };
        return Text(scope, "t") switch
        {
            "p" => claims with { Scope = TokenScopeKind.Project, ScopeId = Text(scope, "id"), ScopeDomainId = Text(scope, "dom") },
            "d" => claims with { Scope = TokenScopeKind.Domain, ScopeId = Text(scope, "id") },
            "s" => claims with { Scope = TokenScopeKind.System },
            _ => null,
        };
    }

    private static TokenDelegation ReadDelegation(JsonElement delegation) => new(
        Text(delegation, "k"),
        Text(delegation, "id"),
        delegation.TryGetProperty("u", out var unrestricted) && unrestricted.GetBoolean(),
        delegation.TryGetProperty("r", out var rules)
            ? [.. Items(rules).Select(rule => new AccessRule(rule[0].GetString()!, rule[1].GetString()!, rule[2].GetString()!))]
            : [])
    {
        OtherUserId = delegation.TryGetProperty("o", out _) ? Text(delegation, "o") : null,
    };

    private static string Text(JsonElement parent, string name) =>
        parent.GetProperty(name).GetString() ?? throw new FormatException($"Claim {name} is null.");

    private static IReadOnlyList<string> Texts(JsonElement array) =>
        [.. Items(array).Select(item => item.GetString() ?? throw new FormatException("A claim is null."))];

    private static JsonElement.ArrayEnumerator Items(JsonElement array) =>
        array.GetArrayLength() <= MaxItems ? array.EnumerateArray() : throw new FormatException("A claim has too many items.");

    private sealed record Parts(string Header, string Payload, string Signature, int SignedChars);
}

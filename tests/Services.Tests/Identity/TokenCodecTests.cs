using System.Security.Cryptography;
using CsCheck;
using Nephos.Hosting.Authentication;
using Nephos.Kernel.Operations;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class TokenCodecTests : IDisposable
{
    private readonly TokenSigningKey _key;

    public TokenCodecTests()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _key = TokenSigningKey.FromPrivate("key", key.ExportPkcs8PrivateKey());
    }

    public void Dispose() => _key.Dispose();

    [Fact]
    public void Claims_come_back_as_they_went()
    {
        var text = Gen.String[1, 32];
        var moment = Gen.Long[0, 4_000_000_000].Select(DateTimeOffset.FromUnixTimeSeconds);
        var rule = Gen.Select(text, text, text, (service, method, path) => new AccessRule(service, method, path));
        var delegation = Gen.Select(text, Gen.Bool, rule.List[0, 3], (id, unrestricted, rules) =>
            new TokenDelegation(TokenDelegation.ApplicationCredential, id, unrestricted, rules));
        Gen.Select(text, text, moment, moment, text.List[0, 3], Gen.Enum<TokenScopeKind>(), Gen.Long[0, long.MaxValue].List[0, 6], delegation)
            .Sample((user, other, issued, expires, texts, scope, epochs, of) =>
            {
                var isScoped = scope != TokenScopeKind.Unscoped;
                var claims = new TokenClaims
                {
                    TokenId = other,
                    ChainId = texts.FirstOrDefault(),
                    UserId = user,
                    UserDomainId = other,
                    IssuedAt = issued,
                    ExpiresAt = expires,
                    Methods = texts,
                    Scope = scope,
                    ScopeId = scope is TokenScopeKind.Project or TokenScopeKind.Domain ? user : null,
                    ScopeDomainId = scope == TokenScopeKind.Project ? other : null,
                    Roles = isScoped ? texts : [],
                    Delegation = texts.Count > 1 ? of : null,
                    Epochs = epochs.Any(epoch => epoch != 0) ? epochs : [],
                };

                var token = TokenCodec.Encode(claims, _key);
                var back = TokenCodec.Decode(token, id => id == "key" ? _key : null)!;

                Assert.Equivalent(claims, back, strict: true);
            });
    }

    [Fact]
    public void Any_change_of_a_token_makes_it_worthless()
    {
        var token = TokenCodec.Encode(
            new TokenClaims
            {
                TokenId = "AAAAAAAAAAAAAAAAAAAAAA",
                UserId = "u",
                UserDomainId = "d",
                IssuedAt = DateTimeOffset.UnixEpoch,
                ExpiresAt = DateTimeOffset.UnixEpoch,
                Methods = ["password"],
            },
            _key);
        Gen.Select(Gen.Int[0, token.Length - 1], Gen.Char['!', '~']).Sample((index, other) =>
        {
            // The last characters of a part may hold bits that stand for nothing: a decoder refuses those too.
            var changed = $"{token[..index]}{other}{token[(index + 1)..]}";
            Assert.Equal(changed == token, TokenCodec.Decode(changed, id => id == "key" ? _key : null) is not null);
        });
    }
}

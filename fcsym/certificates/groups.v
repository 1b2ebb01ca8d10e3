(* units in groups, each with one line of its activation for every held input: a sum over the units of a group *)
Lemma sum_at p f i : (i < p)%nat -> (forall c, c <> i -> f c = 0) -> sum p f = f i.
Proof. intros I H. rewrite <- (sum_kron p i f I). apply sum_ext; intros c _. unfold kron. destruct (Nat.eqb_spec c i); [ring | rewrite H by assumption; ring]. Qed.
Lemma kron_is i c : i = c -> kron i c = 1. Proof. intros ->; unfold kron; rewrite Nat.eqb_refl; reflexivity. Qed.
Lemma kron_not i c : i <> c -> kron i c = 0. Proof. intros E; unfold kron; destruct (Nat.eqb_spec i c); [contradiction | reflexivity]. Qed.
(* one sum of both sides after the other, wherever it stands; what is summed is compared where there is a summand *)
Lemma by_first n t F r : splits n t F r -> (forall i, (i < n)%nat -> F i = 0) -> r = 0 -> t = 0.
Proof. unfold splits; intros -> H ->. rewrite (sum_ext n F (fun _ => 0)), sum_zero by exact H. ring. Qed.
Lemma splits_both n a b F G r q : splits n a F r -> splits n b G q -> splits n (a * b) (fun j => F j * b + r * G j) (r * q).
Proof. unfold splits; intros E ->; rewrite (sum_plus n (fun j => F j * (sum n G + q))), sum_scal, sum_scal_right, E; ring. Qed.
Ltac split_all n := lazymatch goal with |- splits _ ?t _ _ => lazymatch t with
  | context [sum n _] => lazymatch t with
    | sum n _ => apply splits_sum
    | sum _ _ => eapply splits_swap; intro; cbv beta; split_all n
    | _ + _ => eapply splits_plus; split_all n
    | _ - _ => eapply splits_minus; split_all n
    | - _ => eapply splits_opp; split_all n
    | ?a * ?b => lazymatch a with
      | context [sum n _] => lazymatch b with context [sum n _] => eapply splits_both; split_all n | _ => eapply splits_right; split_all n end
      | _ => eapply splits_left; split_all n end
    end
  | _ => apply splits_rest end end.
Ltac over n next := cbv beta; lazymatch goal with
  | |- context [sum n _] => eapply (by_first n); [split_all n | intros ? ?; over n next | cbv beta; next]
  | |- _ => next end.
(* the sums over groups: each has one group in which the unit is *)
Ltac in_its_group := repeat match goal with |- context [sum ?p ?f] => first [
    lazymatch f with context [kron (?g ?j) _] => rewrite (sum_at p f (g j)) by (auto;
      intros ? ?; cbv beta; repeat rewrite kron_not by auto; ring) end; cbv beta
  | rewrite (sum_nothing p f) by (intros; cbv beta; ring)] end.
Ltac same_or_not := repeat match goal with
  | |- context [kron ?a ?a] => rewrite (kron_is a a eq_refl)
  | |- context [kron (?g ?i) ?c] =>
    let E := fresh in destruct (Nat.eq_dec (g i) c) as [E | E]; [rewrite ?(kron_is _ _ E), ?E | rewrite ?(kron_not _ _ E)] end.
